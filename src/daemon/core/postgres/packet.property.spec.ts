import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { kinds } from "../../../common/postgres/columns.js";
import { offloadBytes } from "../../../common/postgres/offload.js";
import { addressesOf, putTogether, takeApart } from "../../../common/postgres/packet.js";
import { copyHeader, readRow, seqOf } from "../../../common/postgres/row.js";
import { Incoming } from "./incoming.js";
import { Outgoing } from "./outgoing.js";

const bytes = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((b) => Buffer.from(b));

/** Anything with a plausible length field; its other bytes are whatever they are. */
const ipv4 = fc
  .tuple(fc.integer({ min: 5, max: 15 }), fc.constantFrom(1, 6, 17, 58, 47), bytes(0, 120), bytes(20, 20))
  .map(([ihl, protocol, rest, head]) => {
    const packet = Buffer.concat([head, Buffer.alloc(ihl * 4 - 20, 1), rest]);
    packet[0] = 0x40 | ihl;
    packet.writeUInt16BE(packet.length, 2);
    packet[9] = protocol;
    return packet;
  });
const ipv6 = fc
  .tuple(fc.constantFrom(0, 6, 17, 43, 44, 51, 58, 59, 60, 135), bytes(0, 200), bytes(40, 40))
  .map(([next, rest, head]) => {
    const packet = Buffer.concat([head, rest]);
    packet[0] = 0x60 | (packet.readUInt8(0) & 0x0f);
    packet.writeUInt16BE(rest.length, 4);
    packet[6] = next;
    return packet;
  });
const packets = fc.oneof(ipv4, ipv6);

test("what is taken apart is put together again byte for byte", () => {
  let whole = 0;
  fc.assert(
    fc.property(packets, (packet) => {
      const fields = takeApart(packet);
      if (fields === undefined) return;
      whole += 1;
      const out = Buffer.alloc(packet.length + 8, 0xee);
      assert.equal(putTogether(fields, out, 3), packet.length);
      assert.deepEqual(out.subarray(3, 3 + packet.length), packet);
      assert.equal(out[3 + packet.length], 0xee);
    }),
    { numRuns: 1000 },
  );
  assert.ok(whole > 300, `${whole} of 1000 were packets`);
});

test("whatever comes out of a device comes back from its row", () => {
  const item = fc
    .oneof(packets, bytes(1, 60))
    .map((packet) => Buffer.concat([Buffer.alloc(offloadBytes), packet]));
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 5 }), (items) => {
      const outgoing = new Outgoing(7, 9n, () => ({ id: 8 }));
      const data = Buffer.concat(items);
      let end = 0;
      outgoing.add({ data, ends: Uint32Array.from(items, ({ length }) => (end += length)) }, 1n);
      const rows = rowsOf(outgoing.take()?.data ?? Buffer.alloc(0));
      assert.equal(rows.length, items.length);
      for (const [index, row] of rows.entries()) {
        const packet = items[index]?.subarray(offloadBytes) ?? Buffer.alloc(0);
        assert.equal(seqOf(row), BigInt(index + 1));
        const read = readRow(row);
        assert.ok(read);
        if (read.fields === null) {
          assert.equal(read.kind, kinds.raw);
          assert.deepEqual(Buffer.from(read.payload), packet);
        } else {
          const out = Buffer.alloc(packet.length);
          assert.equal(putTogether(read.fields, out, 0), packet.length);
          assert.deepEqual(out, packet);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test("no row of a stranger throws, or delivers what is not for this node", () => {
  const outgoing = new Outgoing(2, 9n, () => ({ id: 1 }));
  const own = Buffer.of(10, 0, 0, 1);
  const from = Buffer.of(10, 0, 0, 2);
  const packet = Buffer.from(
    "45000024000100004011000" + "00a0000020a000001" + "0035003500100000" + "0102030405060708",
    "hex",
  );
  packet.writeUInt16BE(packet.length, 2);
  outgoing.add(
    { data: Buffer.concat([Buffer.alloc(offloadBytes), packet]), ends: Uint32Array.of(packet.length + 10) },
    1n,
  );
  const [row = Buffer.alloc(0)] = rowsOf(outgoing.take()?.data ?? Buffer.alloc(0));
  const rules = { me: 1, own, addressOf: (node: number) => (node === 2 ? from : undefined) };
  assert.equal(new Incoming().add(row, 2, rules).kind, "packet");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(row.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      (changes) => {
        const altered = Buffer.from(row);
        for (const [at, value] of changes) altered[at] = value;
        const incoming = new Incoming();
        const verdict = incoming.add(altered, 2, rules);
        const taken = incoming.take();
        assert.equal(verdict.kind === "packet", taken !== undefined);
        if (taken === undefined) return;
        const addresses = addressesOf(taken.data.subarray(offloadBytes));
        assert.deepEqual(addresses?.source, from);
        assert.deepEqual(addresses?.destination, own);
      },
    ),
    { numRuns: 2000 },
  );
});

/** Cuts COPY's data into rows as a DataRow has them. */
function rowsOf(data: Buffer): Buffer[] {
  const rows: Buffer[] = [];
  for (let at = copyHeader.length; at < data.length - 2; ) {
    let end = at + 2;
    for (let left = data.readInt16BE(at); left > 0; left--) {
      const length = data.readInt32BE(end);
      end += 4 + Math.max(0, length);
    }
    rows.push(data.subarray(at, end));
    at = end;
  }
  return rows;
}
