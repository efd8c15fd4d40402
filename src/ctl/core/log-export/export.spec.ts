import assert from "node:assert/strict";
import { test } from "node:test";
import { csvHeader, csvLine } from "./csv.js";
import { exportedOf } from "./exported.js";
import { jsonPacket } from "./json.js";
import { pcapHeader, pcapPacket } from "./pcap.js";

const udp = Buffer.from(
  "4500001e0001000040110000" + "0a090001" + "0a090002" + "0035303900" + "0a1234" + "6869",
  "hex",
);
const record = {
  at: 1_800_000_000_123_456n,
  sent: 1_800_000_000_000_000n,
  sender: 'al"pha',
  receiver: undefined,
  session: 7n,
  seq: 9n,
  packet: udp,
  length: udp.length,
  payload: "kept" as const,
  offload: undefined,
};

test("a pcap has microseconds, raw IP, and the length that the packet had", () => {
  assert.equal(
    Buffer.from(pcapHeader).toString("hex"),
    `d4c3b2a1020004000000000000000000${"00000400"}${"65000000"}`,
  );
  const [packet] = exportedOf({ ...record, packet: udp.subarray(0, 28), length: 30 });
  assert.ok(packet);
  const written = Buffer.from(pcapPacket(packet));
  assert.deepEqual(
    [0, 4, 8, 12].map((at) => written.readUInt32LE(at)),
    [1_800_000_000, 123_456, 28, 30],
  );
  assert.equal(written.length, 16 + 28);
});

test("what is no IP packet is none in an export", () => {
  for (const packet of [Buffer.alloc(0), Buffer.alloc(40), Buffer.from("60", "hex"), udp.subarray(0, 19)]) {
    assert.deepEqual(exportedOf({ ...record, packet, length: packet.length }), []);
  }
});

test("CSV quotes what needs it, and has a value for each name", () => {
  const [packet] = exportedOf(record);
  assert.ok(packet);
  const line = csvLine(packet);
  assert.match(
    line,
    /^2027-01-15T08:00:00\.123456Z,2027-01-15T08:00:00\.000000Z,"al""pha",,7,9,30,4,udp,10\.9\.0\.1,53,/,
  );
  assert.ok(line.endsWith(",2\r\n"));
  assert.equal(line.split(",").length, csvHeader.split(",").length);
});

test("JSON has the payload when it is wanted and there", () => {
  const [packet] = exportedOf(record);
  assert.ok(packet);
  assert.equal(jsonPacket(packet, "", true).payload, Buffer.from("hi").toString("base64"));
  assert.equal(jsonPacket(packet, "", false).payload, undefined);
  assert.equal(jsonPacket({ ...packet, payload: "encrypted" }, "", true).payload, undefined);
});
