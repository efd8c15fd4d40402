import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checksumOf, fold, pseudoSum, sumBytes } from "./checksum.js";
import { headersOf } from "./headers.js";
import { countPackets, split } from "./split.js";

const bytes = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((b) => Buffer.from(b));

interface Super {
  packet: Buffer;
  offload: Buffer;
  size: number;
  payload: Buffer;
  headers: number;
  tcp: boolean;
  version: 4 | 6;
}

/** As Linux gives them to a device: lengths of the whole, and the checksum of the pseudo-header. */
const supers: fc.Arbitrary<Super> = fc
  .record({
    version: fc.constantFrom(4 as const, 6 as const),
    tcp: fc.boolean(),
    extension: fc.boolean(),
    options: fc.constantFrom(0, 12, 40),
    payload: bytes(1, 5000),
    size: fc.integer({ min: 8, max: 1500 }),
    head: bytes(60, 60),
    flags: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ version, tcp, extension, options, payload, size, head, flags }) => {
    const protocol = tcp ? 6 : 17;
    const ip = Buffer.from(head.subarray(0, version === 4 ? 20 : 40));
    const more = version === 6 && extension ? Buffer.of(protocol, 0, 1, 4, 0, 0, 0, 0) : Buffer.alloc(0);
    const transport = Buffer.alloc((tcp ? 20 + options : 8) + 0, 1);
    if (tcp) transport.set(Buffer.of((transport.length / 4) << 4, flags), 12);
    const start = ip.length + more.length;
    const length = start + transport.length + payload.length;
    if (version === 4) {
      ip[0] = 0x45;
      ip.writeUInt16BE(length, 2);
      ip.writeUInt16BE(0x4000, 6);
      ip[9] = protocol;
      ip.writeUInt16BE(0, 10);
      ip.writeUInt16BE(checksumOf(sumBytes(ip)), 10);
    } else {
      ip[0] = 0x60 | (ip.readUInt8(0) & 0x0f);
      ip.writeUInt16BE(length - 40, 4);
      ip[6] = more.length > 0 ? 60 : protocol;
    }
    const [source, destination] =
      version === 4 ? [ip.subarray(12, 16), ip.subarray(16, 20)] : [ip.subarray(8, 24), ip.subarray(24, 40)];
    const sum = fold(pseudoSum(source, destination, protocol, length - start));
    transport.writeUInt16BE(sum, tcp ? 16 : 6);
    if (!tcp) transport.writeUInt16BE(length - start, 4);
    const offload = Buffer.alloc(10);
    offload[0] = 1;
    offload[1] = tcp ? (version === 4 ? 1 : 4) : 5;
    offload.writeUInt16LE(size, 4);
    const packet = Buffer.concat([ip, more, transport, payload]);
    return { packet, offload, size, payload, headers: start + transport.length, tcp, version };
  });

/** Whether a receiver would take it. */
function isRight(packet: Buffer): boolean {
  const headers = headersOf(packet);
  assert.ok(headers);
  const { source, destination, protocol, transport, version } = headers;
  const length = packet.length;
  if (version === 4 ? packet.readUInt16BE(2) !== length : packet.readUInt16BE(4) !== length - 40)
    return false;
  if (version === 4 && fold(sumBytes(packet, 0, transport)) !== 0xffff) return false;
  if (protocol === 17 && packet.readUInt16BE(transport + 4) !== length - transport) return false;
  const sum = pseudoSum(source, destination, protocol, length - transport) + sumBytes(packet, transport);
  return fold(sum) === 0xffff;
}

test("a super-packet is split into packets that a receiver takes, with all of its bytes in order", () => {
  fc.assert(
    fc.property(supers, ({ packet, offload, size, payload, headers, tcp }) => {
      const original = Buffer.from(packet);
      const whole = { bytes: packet, length: packet.length };
      const count = countPackets(whole, offload);
      const pieces = split(whole, offload);
      assert.equal(pieces.length, Math.ceil(payload.length / size));
      assert.equal(count, pieces.length);
      assert.deepEqual(Buffer.concat(pieces.map(({ bytes }) => bytes.subarray(headers))), payload);
      for (const [index, { bytes, length }] of pieces.entries()) {
        assert.equal(bytes.length, length);
        assert.ok(length - headers <= size);
        assert.ok(isRight(bytes), `piece ${index}: ${bytes.toString("hex")}`);
        if (!tcp) continue;
        const at = headersOf(bytes)?.transport ?? 0;
        const first = original.readUInt32BE(at + 4);
        assert.equal(bytes.readUInt32BE(at + 4), (first + index * size) >>> 0);
        const lost = (index + 1 < pieces.length ? 0x09 : 0) | (index > 0 ? 0x80 : 0);
        assert.equal(bytes[at + 13], original.readUInt8(at + 13) & ~lost);
      }
    }),
    { numRuns: 300 },
  );
});

test("one packet gets the checksum that was left to the device, and keeps any other one", () => {
  fc.assert(
    fc.property(supers, fc.integer({ min: 0, max: 0xffff }), ({ packet, tcp }, other) => {
      const left = Buffer.from(packet);
      const [piece] = split({ bytes: left, length: left.length }, undefined);
      assert.ok(piece && isRight(piece.bytes));
      const again = Buffer.from(piece.bytes);
      split({ bytes: again, length: again.length }, undefined);
      assert.deepEqual(again, piece.bytes);
      const at = headersOf(packet)?.checksum ?? 0;
      if (!tcp || other === packet.readUInt16BE(at)) return;
      const wrong = Buffer.from(packet);
      wrong.writeUInt16BE(other, at);
      split({ bytes: wrong, length: wrong.length }, undefined);
      assert.equal(wrong.readUInt16BE(at), other);
    }),
    { numRuns: 200 },
  );
});

test("headers whose payload was not kept are split too", () => {
  fc.assert(
    fc.property(supers, ({ packet, offload, size, payload, headers }) => {
      const pieces = split({ bytes: packet.subarray(0, headers), length: packet.length }, offload);
      assert.equal(pieces.length, Math.ceil(payload.length / size));
      for (const { bytes } of pieces) assert.equal(bytes.length, headers);
      const sum = pieces.reduce((all, { length }) => all + length - headers, 0);
      assert.equal(sum, payload.length);
    }),
    { numRuns: 100 },
  );
});

test("no bytes of a stranger throw, or become many packets", () => {
  fc.assert(
    fc.property(
      bytes(0, 200),
      bytes(10, 10),
      fc.constantFrom(0x45, 0x60, 0x4f, 0x46),
      fc.constantFrom(6, 17, 0, 43, 44, 60),
      fc.nat(65_535),
      (packet, offload, first, protocol, length) => {
        if (packet.length > 9) {
          packet[0] = first;
          packet[9] = protocol;
          packet[6] = protocol;
        }
        const pieces = split({ bytes: packet, length: Math.max(length, packet.length) }, offload);
        assert.ok(pieces.length >= 1 && pieces.length <= 65_536);
      },
    ),
    { numRuns: 2000 },
  );
});
