/** The responder on real sockets, asked by dig; upstream servers that lie, refuse and are silent; garbage. */
import assert from "node:assert/strict";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import dnsPacket from "dns-packet";
import { Responder } from "../../src/daemon/app/names/responder.js";
import { makeNameTable } from "../../src/daemon/core/names/name-table.js";
import { longestQuery } from "../../src/daemon/core/names/query.js";
import type { Zone } from "../../src/daemon/core/names/respond.js";
import { parseVirtualIp } from "../../src/daemon/core/network/cidr.js";
import { Forwarder } from "../../src/daemon/io/names/forwarder.js";
import { framed, NameSockets } from "../../src/daemon/io/names/sockets.js";
import { closeFd, makeSocket } from "../../src/daemon/io/native.js";
import { run, waitFor } from "../lab/command.js";

const own = { virtualIp: "10.9.0.1", name: "alice" };
const zone: Zone = {
  domain: "home.vpn",
  virtualIp: parseVirtualIp("10.9.0.1/24"),
  table: makeNameTable(own, [{ virtualIp: "10.9.0.2", name: "bob" }]),
};

/** A server for the rest of the world, on a port of its own. */
class World {
  readonly #udp: UdpSocket = createSocket("udp4");
  readonly #tcp = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (chunk) => socket.end(framed(this.answer(chunk.subarray(2), true))));
  });
  readonly ids = new Set<number>();
  readonly ports = new Set<number>();

  async open(): Promise<number> {
    this.#tcp.listen(0, "127.0.0.1");
    await once(this.#tcp, "listening");
    const { port } = this.#tcp.address() as AddressInfo;
    this.#udp.bind(port, "127.0.0.1");
    await once(this.#udp, "listening");
    this.#udp.on("message", (message, from) => {
      this.ids.add(message.readUInt16BE(0));
      this.ports.add(from.port);
      // First what a guesser would send.
      const forged = this.answer(message, false);
      forged.writeUInt16BE((message.readUInt16BE(0) + 1) & 0xffff, 0);
      this.#udp.send(forged, from.port, from.address);
      this.#udp.send(this.answer(message, false), from.port, from.address);
    });
    return port;
  }

  answer(message: Buffer, overTcp: boolean): Buffer {
    const { id, questions } = dnsPacket.decode(message);
    const [question] = questions ?? [];
    assert.ok(question);
    const name = question.name.toLowerCase();
    const long = name.startsWith("long.") && !overTcp;
    return dnsPacket.encode({
      type: "response",
      ...(id !== undefined && { id }),
      flags: dnsPacket.RECURSION_AVAILABLE | (long ? dnsPacket.TRUNCATED_RESPONSE : 0),
      questions: [question],
      answers: long
        ? []
        : Array.from({ length: name.startsWith("long.") ? 200 : 1 }, (_, i) => ({
            name: question.name,
            type: "A" as const,
            ttl: 60,
            data: `192.0.2.${i}`,
          })),
    });
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
  }
}

describe("names on real sockets", () => {
  const world = new World();
  let sockets: NameSockets;
  let responder: Responder;
  let forwarder: Forwarder;
  let through: string[] = [];

  before(async () => {
    forwarder = new Forwarder({ make: makeSocket, closeFd, port: await world.open() });
    responder = new Responder({
      zone: () => zone,
      zones: () => [zone],
      forwarder,
      through: () => through,
      serves: () => false,
      upstream: async () => [],
      now: () => performance.now(),
    });
    sockets = await NameSockets.open({
      make: makeSocket,
      closeFd,
      address: "127.0.0.1",
      family: 4,
      port: 0,
      accepts: (source) => responder.knows(source),
      answer: (question) => responder.answer(question),
    });
  });
  after(async () => {
    forwarder.stop();
    await sockets.close();
    world.close();
  });

  const dig = async (...args: string[]): Promise<string> => {
    const always = ["@127.0.0.1", "-p", String(sockets.port), "+tries=1", "+time=20"];
    const { code, stdout, stderr } = await run("dig", [...always, ...args]);
    assert.equal(code, 0, `dig ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  const short = async (...args: string[]): Promise<string> => (await dig("+short", ...args)).trim();
  const count = (outcome: "limited" | "malformed"): number => responder.counts.get(outcome) ?? 0;

  it("answers dig over UDP and TCP, with EDNS and without, with a cookie and without", async () => {
    for (const how of ["+notcp", "+tcp", "+noedns", "+nocookie", "+dnssec", "+bufsize=4096"])
      assert.equal(await short("bob.home.vpn", how), "10.9.0.2", how);
    assert.equal(await short("-x", "10.9.0.2"), "bob.home.vpn.");
    assert.match(await dig("bob.home.vpn"), /flags: qr aa rd[;\s]/);
    assert.doesNotMatch(await dig("bob.home.vpn"), /WARNING: (?!recursion)|MALFORMED|extra bytes/i);
  });

  it("says what there is not, and refuses what is not its own", async () => {
    assert.match(await dig("nobody.home.vpn"), /status: NXDOMAIN[\s\S]*home\.vpn\.\s+\d+\s+IN\s+SOA/);
    assert.match(await dig("AAAA", "bob.home.vpn"), /status: NOERROR[\s\S]*ANSWER: 0/);
    assert.match(await dig("example.com"), /status: REFUSED/);
    assert.match(await dig("example.com", "+opcode=2"), /status: NOTIMP/);
    assert.match(await dig("bob.home.vpn", "+edns=1", "+noednsnegotiation"), /status: BADVERS/);
    assert.match(await dig("CH", "TXT", "version.bind"), /status: REFUSED/);
  });

  it("asks others for everything else when it is to, each time with another id from another port", async () => {
    through = ["127.0.0.1"];
    for (let i = 0; i < 8; i++) assert.equal(await short(`www${i}.example.com`), "192.0.2.0");
    assert.equal(world.ids.size, 8);
    assert.ok(world.ports.size >= 7, [...world.ports].join());
    assert.equal(await short("bob.home.vpn"), "10.9.0.2", "its own are its own");
    assert.match(await dig("x.elsewhere.vpn"), /status: NXDOMAIN/, "and are not asked for outside");
  });

  it("gets long answers over TCP", async () => {
    const lines = (await short("long.example.com")).split("\n");
    assert.equal(lines.filter((line) => line.startsWith("192.0.2.")).length, 200);
  });

  it("goes on to the next server, and says so when there is none", async () => {
    // Nobody listens there: the kernel says so at once.
    through = ["127.0.0.2", "127.0.0.1"];
    assert.equal(await short("www.example.com"), "192.0.2.0");
    through = ["127.0.0.2"];
    assert.match(await dig("www.example.com"), /status: SERVFAIL/);
    through = [];
  });

  it("lives through garbage on both", async () => {
    const before = count("malformed");
    const socket = createSocket("udp4");
    for (let size = 0; size < 200; size++) {
      const noise = Buffer.from(Array.from({ length: size * 3 }, (_, at) => (at * 131 + size * 17) & 0x7f));
      await new Promise((done) => socket.send(noise, sockets.port, "127.0.0.1", done));
    }
    await waitFor(() => count("malformed") >= before + 100, 10_000, "garbage is counted");
    socket.close();
    for (const bytes of [
      Buffer.of(0xff, 0xff, 1, 2, 3),
      Buffer.of(0, 0, 0, 0, 0, 0),
      framed(Buffer.alloc(longestQuery, 0xff)),
      framed(Buffer.alloc(5, 7)),
    ]) {
      const tcp = connect(sockets.port, "127.0.0.1");
      tcp.on("error", () => {});
      tcp.resume();
      tcp.write(bytes);
      await once(tcp, "close");
    }
    assert.equal(await short("bob.home.vpn"), "10.9.0.2");
  });

  it("keeps no more connections of one asker than it should", async () => {
    const many = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const tcp = connect(sockets.port, "127.0.0.1");
        tcp.on("error", () => {});
        await once(tcp, "connect");
        return tcp;
      }),
    );
    await waitFor(() => many.filter((one) => one.closed).length === 12, 10_000, "twelve of twenty are ended");
    for (const one of many) one.destroy();
    await waitFor(
      async () =>
        (
          await run("dig", [
            "@127.0.0.1",
            "-p",
            String(sockets.port),
            "+tcp",
            "+short",
            "+tries=1",
            "+time=2",
            "bob.home.vpn",
          ])
        ).stdout.trim() === "10.9.0.2",
      10_000,
      "there is room again",
    );
  });

  it("answers several questions on one connection", async () => {
    const question = (id: number) =>
      dnsPacket.encode({ type: "query", id, questions: [{ name: "bob.home.vpn", type: "A" }] });
    const tcp = connect(sockets.port, "127.0.0.1");
    const whole = Buffer.concat([1, 2, 3].map((id) => framed(question(id))));
    tcp.write(whole.subarray(0, 20));
    tcp.write(whole.subarray(20));
    const ids: number[] = [];
    let got = Buffer.alloc(0);
    tcp.on("data", (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
        ids.push(got.readUInt16BE(2));
        got = got.subarray(2 + got.readUInt16BE(0));
      }
    });
    await waitFor(() => ids.length === 3, 10_000, "three answers");
    assert.deepEqual(ids, [1, 2, 3]);
    tcp.destroy();
  });

  it("does not take a port that is taken", async () => {
    const again = NameSockets.open({
      make: makeSocket,
      closeFd,
      address: "127.0.0.1",
      family: 4,
      port: sockets.port,
      accepts: () => true,
      answer: () => undefined,
    });
    await assert.rejects(again, { code: "conflict" });
  });
});
