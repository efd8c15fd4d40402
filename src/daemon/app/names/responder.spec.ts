import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import dnsPacket from "dns-packet";
import { makeNameTable } from "../../core/names/name-table.js";
import type { Zone } from "../../core/names/respond.js";
import { parseVirtualIp } from "../../core/network/cidr.js";
import { Responder } from "./responder.js";

const zone = (domain: string, virtualIp: string): Zone => ({
  domain,
  virtualIp: parseVirtualIp(virtualIp),
  table: makeNameTable({ virtualIp: virtualIp.replace(/\/.*/, ""), name: "alice" }, []),
});
const home = zone("home.vpn", "10.9.0.1/24");
const lab = zone("lab.vpn", "10.8.0.1/24");
const query = (name: string): Buffer =>
  dnsPacket.encode({ type: "query", id: 1, questions: [{ name, type: "A" }] });
const [machine, peer, outsider] = ["127.0.0.1", "10.9.0.7", "192.0.2.7"];

describe("who is answered what", () => {
  let now = 0;
  let through: string[] = [];
  let served: string[] = [];
  let asked: { servers: readonly string[]; asker: string }[] = [];
  let reply: Buffer | undefined;
  let responder: Responder;

  beforeEach(() => {
    now = 0;
    through = [];
    served = [];
    asked = [];
    reply = dnsPacket.encode({ type: "response", id: 1, questions: [{ name: "example.com", type: "A" }] });
    responder = new Responder({
      zone: () => home,
      zones: () => [home, lab],
      forwarder: {
        ask: async (_message, servers, { asker }) => {
          asked.push({ servers, asker });
          return reply;
        },
      },
      through: () => through,
      serves: (source) => served.includes(source),
      upstream: async () => ["192.0.2.53"],
      now: () => now,
    });
  });

  async function rcode(source: string, name: string, overTcp = false): Promise<number | undefined> {
    const answer = await responder.answer({ message: query(name), source, overTcp });
    return answer === undefined ? undefined : answer.readUInt16BE(2) & 15;
  }

  it("this machine is told of all networks, a peer of the one it is in, others of none", async () => {
    assert.equal(await rcode(machine, "alice.lab.vpn"), 0);
    assert.equal(await rcode(peer, "alice.home.vpn"), 0);
    assert.equal(await rcode(peer, "alice.lab.vpn"), 5);
    assert.equal(await rcode(outsider, "alice.home.vpn"), undefined);
    assert.equal(responder.counts.get("stranger"), 1);
    assert.ok(responder.knows(peer) && responder.knows(machine) && !responder.knows(outsider));
  });

  it("this machine's questions go through the exit, a client's to this machine's servers", async () => {
    assert.equal(await rcode(machine, "example.com"), 5);
    assert.equal(await rcode(peer, "example.com"), 5);
    through = ["10.9.0.2"];
    served = [peer];
    assert.equal(await rcode(machine, "example.com"), 0);
    assert.equal(await rcode(peer, "example.com"), 0);
    assert.equal(await rcode("10.9.0.8", "example.com"), 5, "not a client");
    assert.deepEqual(asked, [
      { servers: ["10.9.0.2"], asker: machine },
      { servers: ["192.0.2.53"], asker: peer },
    ]);
    reply = undefined;
    assert.equal(await rcode(peer, "example.com"), 2);
    assert.equal(responder.counts.get("failed"), 1);
  });

  it("a long answer is cut for UDP, and whole over TCP", async () => {
    served = [peer];
    reply = dnsPacket.encode({
      type: "response",
      id: 1,
      questions: [{ name: "example.com", type: "A" }],
      answers: Array.from({ length: 60 }, () => ({
        name: "example.com",
        type: "A" as const,
        data: "192.0.2.1",
      })),
    });
    const answer = (overTcp: boolean) =>
      responder.answer({ message: query("example.com"), source: peer, overTcp });
    const cut = await answer(false);
    assert.ok(cut && cut.length < 512 && (cut.readUInt16BE(2) & 0x0200) !== 0);
    assert.equal((await answer(true))?.length, reply.length);
  });

  it("who asks too much is not heard for a while, alone", async () => {
    let heard = 0;
    for (let i = 0; i < 1000; i++) if ((await rcode(peer, "alice.home.vpn")) !== undefined) heard += 1;
    assert.equal(heard, 400);
    assert.equal(responder.counts.get("limited"), 600);
    assert.equal(await rcode("10.9.0.8", "alice.home.vpn"), 0);
    assert.equal(await rcode(machine, "alice.home.vpn"), 0);
    now += 1000;
    assert.equal(await rcode(peer, "alice.home.vpn"), 0);
  });
});
