import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { columns } from "../../../common/postgres/columns.js";
import { readRecord } from "../../../common/postgres/log/record.js";
import { takeApart } from "../../../common/postgres/packet.js";
import { RowWriter } from "../../../common/postgres/row.js";
import { recordJson, recordLine } from "../log-text.js";
import { Anonymiser } from "./anonymise.js";
import { csvLine } from "./csv.js";
import { exportedOf } from "./exported.js";
import { jsonPacket } from "./json.js";
import { pcapPacket } from "./pcap.js";

const tcp = Buffer.from(
  "4500003400010000400600000a0900010a090002" +
    "303901bb00000001000000025018fffe00000000" +
    "0102030405060708090a0b0c",
  "hex",
);
const writer = new RowWriter(Buffer.alloc(1000));
const fields = takeApart(tcp);
assert.ok(fields);
const offload = Buffer.from("01013600080010000600", "hex");
const numbers = { sender: 1, receiver: 2, session: 3n, seq: 4n, sent: 1_800_000_000_000_000n };
writer.row({ ...numbers, kind: 1, offload, fields, payload: fields.payload });
const time = Buffer.from("00000008" + "0002f00000000000", "hex");
const name = Buffer.from("0000000161", "hex");
const row = Buffer.concat([writer.take(), time, name, name]);
row.writeInt16BE(columns.length + 3, 0);

/** Where values lie in the row, so that what is altered is still an answer of a database. */
const values: { at: number; length: number }[] = [];
for (let at = 2; at < row.length; ) {
  const length = row.readInt32BE(at);
  if (length > 0) values.push({ at: at + 4, length });
  at += 4 + Math.max(0, length);
}

test("a row is what its packet was", () => {
  const record = readRecord(Buffer.from(row), () => undefined);
  assert.deepEqual([record.sender, record.receiver, record.packet], ["a", "a", tcp]);
  assert.equal(exportedOf(record).length, 2);
});

test("whatever somebody wrote into a row, it is read and written", () => {
  const change = fc.tuple(
    fc.constantFrom(...values),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.constantFrom("some", "all", "highest"),
  );
  const key = fc.constantFrom(undefined, "missing" as const, new Uint8Array(32));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), key, (changes, opens) => {
      const altered = Buffer.from(row);
      for (const [{ at, length }, bytes, how] of changes) {
        if (how === "highest") altered.fill(0xff, at, at + length).writeUInt8(0x7f, at);
        else altered.set(bytes.subarray(0, how === "some" ? 1 : length), at);
      }
      const record = readRecord(altered, () => opens);
      assert.match(recordLine(record), /^[^\n]+\n$/);
      assert.ok(JSON.stringify(recordJson(record, "")).length > 0);
      const anonymiser = new Anonymiser(new Uint8Array(32));
      for (const packet of exportedOf(record)) {
        assert.ok(pcapPacket(packet).length >= 16 + 20);
        assert.ok(csvLine(packet).endsWith("\r\n"));
        assert.ok(JSON.stringify(jsonPacket(packet, "", true)).length > 0);
        anonymiser.packet(packet);
      }
    }),
    { numRuns: 3000 },
  );
});
