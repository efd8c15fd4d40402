import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fold, pseudoSum, sumBytes } from "../../../common/packet/checksum.js";
import { takeApart } from "../../../common/postgres/packet.js";
import { Anonymiser } from "./anonymise.js";
import { exportedOf } from "./exported.js";
import { Pseudonyms } from "./pseudonyms.js";

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b));
const address = fc.oneof(bytes(4), bytes(16));

/** How many bits two addresses begin with in common. */
function common(a: Uint8Array, b: Uint8Array): number {
  for (let bit = 0; bit < a.length * 8; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((a[bit >> 3] ?? 0) & mask) !== ((b[bit >> 3] ?? 0) & mask)) return bit;
  }
  return a.length * 8;
}

test("addresses share as many first bits as before, and another key gives others", () => {
  fc.assert(
    fc.property(bytes(32), bytes(32), address, fc.nat(127), bytes(16), (key, other, one, shared, rest) => {
      const two = Buffer.from(one);
      for (let bit = shared % (one.length * 8); bit < one.length * 8; bit++) {
        const mask = 0x80 >> (bit & 7);
        two[bit >> 3] = (two.readUInt8(bit >> 3) & ~mask) | ((rest[bit >> 3] ?? 0) & mask);
      }
      const names = new Pseudonyms(key);
      assert.equal(common(names.of(one), names.of(two)), common(one, two));
      assert.deepEqual(new Pseudonyms(key).of(one), names.of(one));
      if (!key.equals(other) && one.length === 16) {
        assert.notDeepEqual(new Pseudonyms(other).of(one), names.of(one));
      }
    }),
    { numRuns: 200 },
  );
});

const secret = Buffer.from("the secret of the payload");
const source = Buffer.of(203, 0, 113, 77);
const destination = Buffer.of(198, 51, 100, 88);

function packetOf(protocol: number, transport: Buffer, options: Buffer): Buffer {
  const ip = Buffer.from("4500000012340000400000000000000000000000", "hex");
  const packet = Buffer.concat([ip, options, transport, secret]);
  packet[0] = 0x40 | ((20 + options.length) / 4);
  packet.writeUInt16BE(packet.length, 2);
  packet[9] = protocol;
  packet.set(source, 12);
  packet.set(destination, 16);
  return packet;
}

test("neither addresses nor payloads nor names are left, and what is left is a whole header", () => {
  const route = Buffer.concat([Buffer.of(7, 7, 4), source, Buffer.of(0)]);
  const multipath = Buffer.concat([Buffer.of(30, 8, 0x34, 1), source]);
  const tcp = Buffer.concat([Buffer.from("0050303900000001000000027018ffff12340000", "hex"), multipath]);
  const kinds = [
    packetOf(6, tcp, Buffer.alloc(0)),
    packetOf(17, Buffer.from("0035303900211234", "hex"), Buffer.alloc(0)),
    packetOf(17, Buffer.from("0035303900210000", "hex"), route),
    // A redirect: it quotes a packet, and names a router.
    packetOf(
      1,
      Buffer.concat([Buffer.from("05011234", "hex"), source, Buffer.alloc(12), source]),
      Buffer.alloc(0),
    ),
    packetOf(47, Buffer.concat([Buffer.alloc(4), source]), Buffer.alloc(0)),
  ];
  fc.assert(
    fc.property(bytes(32), fc.constantFrom(...kinds), (key, packet) => {
      const record = {
        at: 0n,
        sent: 0n,
        sender: "alpha",
        receiver: "beta",
        session: 1n,
        seq: 1n,
        packet: Buffer.from(packet),
        length: packet.length,
        payload: "kept" as const,
        offload: undefined,
      };
      const [whole] = exportedOf(record);
      assert.ok(whole);
      const hidden = new Anonymiser(key).packet(whole);
      assert.ok(hidden);
      assert.equal(hidden.length, packet.length);
      for (const trace of [source, destination, secret.subarray(0, 6)]) {
        assert.ok(!hidden.packet.includes(trace), hidden.packet.toString("hex"));
      }
      assert.deepEqual([hidden.sender, hidden.receiver], ["node-1", "node-2"]);
      const full = Buffer.concat([hidden.packet, Buffer.alloc(hidden.length - hidden.packet.length)]);
      const fields = takeApart(full);
      assert.ok(fields);
      const at = (fields.ihl ?? 0) * 4;
      assert.equal(fold(sumBytes(full, 0, at)), 0xffff);
      if (fields.protocol === 47 || (fields.protocol === 17 && fields.transport.checksum === 0)) return;
      const pseudo =
        fields.protocol === 1
          ? 0
          : pseudoSum(fields.source, fields.destination, fields.protocol, full.length - at);
      assert.equal(fold(pseudo + sumBytes(full, at)), 0xffff, hidden.packet.toString("hex"));
    }),
    { numRuns: 200 },
  );
});
