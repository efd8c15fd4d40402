import assert from "node:assert/strict";
import { describe, it } from "node:test";
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from "dns-packet";
import fc from "fast-check";
import { parseVirtualIp } from "../network/cidr.js";
import { makeNameTable } from "./name-table.js";
import { type Asker, respond, type Zone } from "./respond.js";

const zone = (network: string, virtualIp: string, peers: Record<string, string>): Zone => ({
  domain: `${network}.vpn`,
  virtualIp: parseVirtualIp(virtualIp),
  table: makeNameTable(
    { virtualIp: virtualIp.replace(/\/.*/, ""), name: "alice" },
    Object.entries(peers).map(([name, address]) => ({ name, virtualIp: address })),
  ),
});

const home = zone("home", "10.9.0.1/24", { bob: "10.9.0.2" });
const lab = zone("lab", "fd00:7::1/64", { carol: "fd00:7::3" });
const stranger: Asker = { local: false, forwards: false };
const client: Asker = { local: false, forwards: true };
const machine: Asker = { local: true, forwards: false };

const query = (name: string, type: string, more: Partial<Packet> = {}): Buffer =>
  dnsPacket.encode({
    type: "query",
    id: 4711,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type: type as "A" }],
    ...more,
  });

interface Answered {
  outcome: string;
  packet: DecodedPacket & { rcode?: string };
}

function ask(message: Buffer, asker: Asker = machine, zones: readonly Zone[] = [home, lab]): Answered {
  const verdict = respond(message, asker, zones);
  assert.equal(verdict.act, "answer");
  assert.ok(verdict.act === "answer");
  return { outcome: verdict.outcome, packet: dnsPacket.decode(verdict.message) };
}

const data = ({ packet }: Answered): unknown[] =>
  (packet.answers ?? []).map((one) => ("data" in one ? one.data : undefined));

describe("responder", () => {
  it("answers names of nodes, whatever their case", () => {
    const answered = ask(query("bOb.hoME.vpn", "A"));
    const { packet } = answered;
    assert.deepEqual(data(answered), ["10.9.0.2"]);
    assert.equal(packet.id, 4711);
    assert.equal(packet.questions?.[0]?.name, "bOb.hoME.vpn", "the case comes back");
    assert.equal(packet.answers?.[0]?.name, "bOb.hoME.vpn");
    assert.equal(packet.flag_aa, true);
    assert.equal(packet.flag_rd, true);
    assert.equal(packet.flag_ra, false);
    assert.deepEqual(data(ask(query("alice.home.vpn", "A"))), ["10.9.0.1"], "its own");
    assert.deepEqual(data(ask(query("carol.lab.vpn", "AAAA"))), ["fd00:7::3"]);
    assert.deepEqual(data(ask(query("bob.home.vpn", "ANY"))), ["10.9.0.2"]);
  });

  it("answers reverse names of both families", () => {
    assert.deepEqual(data(ask(query("2.0.9.10.in-addr.arpa", "PTR"))), ["bob.home.vpn"]);
    const six = `3.${"0.".repeat(23)}7.0.0.0.0.0.d.f.ip6.arpa`;
    assert.deepEqual(data(ask(query(six, "PTR"))), ["carol.lab.vpn"]);
  });

  it("tells a missing type from a missing name, and says for how long", () => {
    for (const [name, type, outcome, owner] of [
      ["bob.home.vpn", "AAAA", "nodata", "home.vpn"],
      ["bob.home.vpn", "MX", "nodata", "home.vpn"],
      ["home.vpn", "A", "nodata", "home.vpn"],
      ["nobody.home.vpn", "A", "nxdomain", "home.vpn"],
      ["x.bob.home.vpn", "A", "nxdomain", "home.vpn"],
      ["9.0.9.10.in-addr.arpa", "PTR", "nxdomain", "0.9.10.in-addr.arpa"],
      ["0.9.10.in-addr.arpa", "PTR", "nodata", "0.9.10.in-addr.arpa"],
      ["2.0.9.10.in-addr.arpa", "A", "nodata", "0.9.10.in-addr.arpa"],
      ["bob.elsewhere.vpn", "A", "nxdomain", "vpn"],
      ["vpn", "A", "nodata", "vpn"],
    ] as const) {
      const answered = ask(query(name, type));
      assert.equal(answered.outcome, outcome, name);
      assert.deepEqual(data(answered), []);
      assert.equal(answered.packet.rcode, outcome === "nxdomain" ? "NXDOMAIN" : "NOERROR", name);
      const [soa] = answered.packet.authorities ?? [];
      assert.equal(soa?.type, "SOA", name);
      assert.equal(soa?.name, owner);
      assert.ok(soa?.type === "SOA" && (soa.data.minimum ?? 99) <= 10);
    }
  });

  it("is a zone of its own", () => {
    const soa = ask(query("home.vpn", "SOA")).packet.answers?.[0];
    assert.ok(soa?.type === "SOA");
    assert.equal(soa.data.mname, "alice.home.vpn");
    assert.deepEqual(data(ask(query("HOME.vpn", "NS"))), ["alice.home.vpn"]);
  });

  it("tells a network's nodes only of that network", () => {
    assert.deepEqual(data(ask(query("bob.home.vpn", "A"), stranger, [home])), ["10.9.0.2"]);
    for (const name of ["carol.lab.vpn", "vpn", "example.com", "", "localhost", "2.0.10.10.in-addr.arpa"]) {
      const { outcome, packet } = ask(query(name === "" ? "." : name, "A"), stranger, [home]);
      assert.equal(outcome, "refused", name);
      assert.equal(packet.rcode, "REFUSED");
    }
    assert.equal(ask(query("example.com", "A")).outcome, "refused", "also this machine");
  });

  it("forwards what is not ours for those that may, and nothing below vpn", () => {
    for (const name of ["example.com", ".", "vpn.example.com", "1.1.168.192.in-addr.arpa"])
      assert.equal(respond(query(name, "A"), client, [home]).act, "forward", name);
    assert.equal(ask(query("carol.lab.vpn", "A"), client, [home]).outcome, "refused");
    const { packet } = ask(query("bob.home.vpn", "A"), client, [home]);
    assert.equal(packet.flag_ra, true);
  });

  it("does not take a dot inside a label for one between labels", () => {
    const odd = query("bobXhome.vpn", "A");
    odd[odd.indexOf("X".charCodeAt(0))] = ".".charCodeAt(0);
    assert.equal(ask(odd, stranger, [home]).outcome, "refused");
    assert.equal(respond(odd, client, [home]).act, "forward");
  });

  it("speaks EDNS version 0 only", () => {
    const opt = (ednsVersion: number): Answer => ({
      name: ".",
      type: "OPT",
      udpPayloadSize: 4096,
      ednsVersion,
      extendedRcode: 0,
      flags: 0,
      flag_do: false,
      options: [],
    });
    const zero = ask(query("bob.home.vpn", "A", { additionals: [opt(0)] }));
    const [answered] = zero.packet.additionals ?? [];
    assert.ok(answered?.type === "OPT" && answered.udpPayloadSize === 1232);
    assert.deepEqual(data(zero), ["10.9.0.2"]);
    const one = ask(query("bob.home.vpn", "A", { additionals: [opt(1)] }));
    const [bad] = one.packet.additionals ?? [];
    assert.ok(bad?.type === "OPT" && bad.extendedRcode === 1);
    assert.deepEqual(data(one), []);
  });

  it("says what is wrong with a question that is none", () => {
    const two = query("bob.home.vpn", "A");
    two.writeUInt16BE(2, 4);
    const update = query("bob.home.vpn", "A");
    update.writeUInt16BE(5 << 11, 2);
    const short = query("bob.home.vpn", "A").subarray(0, -3);
    const pointer = Buffer.concat([query(".", "A").subarray(0, 12), Buffer.of(0xc0, 12, 0, 1, 0, 1)]);
    for (const [message, rcode] of [
      [two, "FORMERR"],
      [update, "NOTIMP"],
      [short, "FORMERR"],
      [pointer, "FORMERR"],
    ] as const) {
      const { outcome, packet } = ask(message);
      assert.equal(outcome, "malformed");
      assert.equal(packet.rcode, rcode);
      assert.equal(packet.id, 4711);
      assert.equal(packet.questions?.length, 0);
    }
  });

  it("answers no answers, nothing short and nothing long", () => {
    const answer = dnsPacket.encode({
      type: "response",
      id: 1,
      questions: [{ name: "bob.home.vpn", type: "A" }],
    });
    for (const message of [answer, Buffer.alloc(0), Buffer.alloc(11), Buffer.alloc(4097)])
      assert.equal(respond(message, machine, [home]).act, "drop");
  });

  const name = fc.oneof(
    fc.constantFrom("bob.home.vpn", "home.vpn", "vpn", "2.0.9.10.in-addr.arpa", "."),
    fc
      .array(fc.string({ minLength: 1, maxLength: 63 }), { minLength: 1, maxLength: 5 })
      .map((labels) => labels.join(".")),
  );

  it("never fails, and never answers with more than fits everywhere", () => {
    const good = fc
      .tuple(name, fc.constantFrom("A", "AAAA", "ANY", "PTR", "SOA", "TXT"))
      .map(([asked, type]) => {
        try {
          return query(asked, type);
        } catch {
          return Buffer.alloc(0);
        }
      });
    const bytes = fc.uint8Array({ maxLength: 600 }).map((raw) => Buffer.from(raw));
    const bent = fc.tuple(good, fc.nat(), fc.nat(255)).map(([message, at, value]) => {
      const copy = Buffer.from(message);
      if (copy.length > 0) copy[at % copy.length] = value;
      return copy;
    });
    fc.assert(
      fc.property(
        fc.oneof(good, bytes, bent),
        fc.constantFrom(stranger, client, machine),
        (message, asker) => {
          const verdict = respond(message, asker, [home, lab]);
          if (verdict.act === "forward") assert.ok(asker.forwards);
          if (verdict.act !== "answer") return;
          assert.ok(verdict.message.length <= 512, `${verdict.message.length} bytes`);
          assert.equal(verdict.message.readUInt16BE(0), message.readUInt16BE(0));
          dnsPacket.decode(verdict.message);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
