import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { kinds } from "../../../common/postgres/columns.js";
import { offloadBytes } from "../../../common/postgres/offload.js";
import { addressesOf, putTogether, takeApart } from "../../../common/postgres/packet.js";
import { copyHeader, readRow, seqOf } from "../../../common/postgres/row.js";
import { payloadKeys } from "../../../common/postgres/seal.js";
import { Incoming } from "./incoming.js";
import { Openings } from "./openings.js";
import { Outgoing } from "./outgoing.js";

const clear = { kind: "clear" } as const;
const nodeAt = () => ({ id: 1 });

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
      const outgoing = new Outgoing({ sender: 7, session: 9n, nodeAt, keep: 1 });
      const data = Buffer.concat(items);
      let end = 0;
      outgoing.add({ data, ends: Uint32Array.from(items, ({ length }) => (end += length)) }, 1n);
      const rows = rowsOf(outgoing.take()?.log);
      assert.equal(rows.length, items.length);
      for (const [index, row] of rows.entries()) {
        const packet = items[index]?.subarray(offloadBytes) ?? Buffer.alloc(0);
        assert.equal(seqOf(row), BigInt(index + 1));
        const read = readRow(row);
        assert.ok(read);
        if (read.fields === null) {
          assert.equal(read.kind, kinds.raw);
          assert.deepEqual(read.payload && Buffer.from(read.payload), packet);
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

const own = Buffer.of(10, 0, 0, 1);
const from = Buffer.of(10, 0, 0, 2);
const fromTo = {
  me: 1,
  takes: (destination: Uint8Array) => own.equals(destination),
  maySend: (node: number, source: Uint8Array) => node === 2 && from.equals(source),
};

/** From `from` to `own`. */
function udpItem(): Buffer {
  const packet = Buffer.from(
    "45000024000100004011000" + "00a0000020a000001" + "0035003500100000" + "0102030405060708",
    "hex",
  );
  packet.writeUInt16BE(packet.length, 2);
  return Buffer.concat([Buffer.alloc(offloadBytes), packet]);
}

test("no row of a stranger throws, or delivers what is not for this node", () => {
  const outgoing = new Outgoing({ sender: 2, session: 9n, nodeAt, keep: 1 });
  const item = udpItem();
  outgoing.add({ data: item, ends: Uint32Array.of(item.length) }, 1n);
  const [row = Buffer.alloc(0)] = rowsOf(outgoing.take()?.log);
  const rules = { ...fromTo, opening: clear };
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

test("of packets whose payload is not kept the log has the headers, and the receiver all", () => {
  const item = udpItem();
  const packet = item.subarray(offloadBytes);
  for (const [keep, kept] of [
    [0, []],
    [1, [1, 2, 3, 4, 5, 6, 7]],
    [3, [1, 4, 7]],
  ] as const) {
    const outgoing = new Outgoing({ sender: 2, session: 9n, nodeAt, keep });
    for (let i = 0; i < 7; i++) outgoing.add({ data: item, ends: Uint32Array.of(item.length) }, 1n);
    // Between nodes: never in the log unless that is where packets travel.
    outgoing.control(1, Buffer.of(1), 1n);
    const batch = outgoing.take();
    const log = rowsOf(batch?.log).map(readRow);
    assert.deepEqual(
      log.flatMap((row) =>
        row !== undefined && row.payload !== null && row.seq < 8n ? [Number(row.seq)] : [],
      ),
      kept,
    );
    assert.equal(log.length, keep === 1 ? 8 : 7);
    assert.ok(log.slice(0, 7).every((row) => row?.fields?.totalLength === packet.length));
    const travels = rowsOf(keep === 1 ? batch?.log : batch?.transit);
    assert.equal(travels.length, 8);
    const incoming = new Incoming();
    const rules = { ...fromTo, opening: clear };
    for (const row of travels.slice(0, 7)) assert.equal(incoming.add(row, 2, rules).kind, "packet");
    assert.deepEqual(Buffer.from(incoming.take()?.data.subarray(0, item.length) ?? []), item);
  }
});

test("encrypted packets come back, and no change of their rows goes unnoticed", () => {
  const psk = Buffer.alloc(32, 7);
  const salt = Buffer.alloc(32, 9);
  const { key, check } = payloadKeys(psk, "office", salt);
  const outgoing = new Outgoing({ sender: 2, session: 9n, nodeAt, keep: 1, key });
  const item = udpItem();
  outgoing.add({ data: item, ends: Uint32Array.of(item.length) }, 1n);
  outgoing.add({ data: item, ends: Uint32Array.of(item.length) }, 1n);
  outgoing.control(1, Buffer.from("hello"), 1n);
  const [row = Buffer.alloc(0), next, control = Buffer.alloc(0)] = rowsOf(outgoing.take()?.log);
  const inClear = item.subarray(-8).toString("hex");
  assert.ok(!row.toString("hex").includes(inClear), "the payload is in clear");
  assert.notDeepEqual(row.subarray(-24), next?.subarray(-24), "two equal packets look alike");
  const opening = new Openings("office", [Buffer.alloc(32, 1), psk]).of({ salt, check });
  const rules = { ...fromTo, opening };
  const said = new Incoming().add(control, 2, rules);
  assert.equal(said.kind === "control" && Buffer.from(said.message).toString(), "hello");
  const incoming = new Incoming();
  assert.equal(incoming.add(row, 2, rules).kind, "packet");
  assert.deepEqual(Buffer.from(incoming.take()?.data ?? []), item);
  // The whole row but the addresses' decoration, which PostgreSQL itself makes.
  fc.assert(
    fc.property(fc.nat(row.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const altered = Buffer.from(row);
      altered[at] = altered.readUInt8(at) ^ change;
      const again = new Incoming();
      const verdict = again.add(altered, 2, rules);
      const taken = again.take();
      assert.equal(verdict.kind === "packet", taken !== undefined);
      if (taken !== undefined) assert.deepEqual(Buffer.from(taken.data), item, `byte ${at}`);
    }),
    { numRuns: 1000 },
  );
});

test("who has another key, or none, is told apart", () => {
  const salt = Buffer.alloc(32, 9);
  const mark = { salt, check: payloadKeys(Buffer.alloc(32, 7), "office", salt).check };
  const none = { salt: null, check: null };
  const code = (psks: Uint8Array[], of: typeof mark | typeof none): string => {
    const opening = new Openings("office", psks).of(of);
    return opening.kind === "refused" ? opening.reason.code : opening.kind;
  };
  assert.equal(code([], none), "clear");
  assert.equal(code([], mark), "encrypted");
  assert.equal(code([Buffer.alloc(32, 7)], mark), "key");
  assert.equal(code([Buffer.alloc(32, 8)], mark), "wrong-psk");
  assert.equal(code([Buffer.alloc(32, 7)], none), "not-encrypted");
});

/** Cuts COPY's data into rows as a DataRow has them. */
function rowsOf(data: Buffer = Buffer.alloc(0)): Buffer[] {
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
