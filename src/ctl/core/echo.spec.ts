import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { echoReply, echoRequest } from "./echo.js";

const v4 = { from: "10.91.0.2", to: "93.184.216.34", id: 0x1234, sequence: 7 };
const v6 = { from: "fd76:706e:6477::1", to: "2606:2800:220:1::34", id: 0x1234, sequence: 7 };

/** RFC 1071: what has its checksum in it adds up to this. */
function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += bytes.readUInt16BE(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** What the host at the other end makes of a request. */
function answered(request: Buffer): Buffer {
  const reply = Buffer.from(request);
  const four = (request[0] ?? 0) >> 4 === 4;
  const [at, size] = four ? [12, 4] : [8, 16];
  request.copy(reply, at, at + size, at + 2 * size);
  request.copy(reply, at + size, at, at + size);
  reply[four ? 20 : 40] = four ? 0 : 129;
  return reply;
}

test("requests are packets whose checksums are right", () => {
  const request = echoRequest(v4);
  assert.equal(request.length, 84);
  assert.equal(request.readUInt16BE(2), 84);
  assert.equal(sum(request.subarray(0, 20)), 0xffff);
  assert.equal(sum(request.subarray(20)), 0xffff);
  const other = echoRequest(v6);
  assert.equal(other.readUInt16BE(4), other.length - 40);
  const pseudo = Buffer.concat([
    other.subarray(8, 40),
    Buffer.from([0, 0, 0, other.length - 40, 0, 0, 0, 58]),
  ]);
  assert.equal(sum(Buffer.concat([pseudo, other.subarray(40)])), 0xffff);
});

test("only the answer to one's own request is one", () => {
  for (const echo of [v4, v6]) {
    const request = echoRequest(echo);
    const reply = answered(request);
    assert.equal(echoReply(reply, echo), 7);
    assert.equal(echoReply(request, echo), undefined);
    assert.equal(echoReply(reply, { ...echo, id: 1 }), undefined);
    assert.equal(echoReply(reply, { ...echo, to: echo.from }), undefined);
    assert.equal(echoReply(reply, echo === v4 ? v6 : v4), undefined);
    for (let cut = 0; cut < 28; cut++) assert.equal(echoReply(reply.subarray(0, cut), echo), undefined);
  }
});

test("an answer may have IP options", () => {
  const reply = answered(echoRequest(v4));
  const longer = Buffer.concat([reply.subarray(0, 20), Buffer.alloc(4, 1), reply.subarray(20)]);
  longer[0] = 0x46;
  assert.equal(echoReply(longer, v4), 7);
});

test("whatever comes, reading ends", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 90 }), (bytes) => void echoReply(Buffer.from(bytes), v6)));
});
