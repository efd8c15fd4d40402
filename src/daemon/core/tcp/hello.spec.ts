import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  encodeAck,
  encodeHello,
  encodeTaken,
  isAck,
  isTaken,
  type LinkHello,
  nonceBytes,
  parseHello,
} from "./hello.js";

const hello: LinkHello = {
  nonce: new Uint8Array(nonceBytes).fill(7),
  tap: false,
  supers: true,
  mtu: 1500,
  virtualIp: "10.0.0.1",
  name: "alpha",
};

/** Sum of 16-bit words as RFC 1071 has it; 0xffff when the checksum among them is right. */
function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  for (let i = 0; i < bytes.length; i++) total += (bytes[i] ?? 0) << (i % 2 === 0 ? 8 : 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

test("the hello comes back as it was, on both kinds of device", () => {
  for (const one of [hello, { ...hello, tap: true, supers: false, virtualIp: "fd00::1", name: "" }]) {
    assert.deepEqual(parseHello(encodeHello(one), one.tap), one);
    assert.equal(parseHello(encodeHello(one), !one.tap), undefined);
  }
});

test("who is one too many is told so, and nothing else means that", () => {
  for (const tap of [false, true]) {
    assert.equal(isTaken(encodeTaken(tap), tap), true);
    assert.equal(isTaken(encodeTaken(tap), !tap), false);
    assert.equal(isTaken(encodeHello({ ...hello, tap }), tap), false);
    assert.equal(parseHello(encodeTaken(tap), tap), undefined);
  }
});

test("it is a valid IPv4 UDP packet to all hosts of the link, which goes no further", () => {
  const packet = encodeHello({ ...hello, name: "odd" });
  assert.equal(packet[0], 0x45);
  assert.equal(packet.readUInt16BE(2), packet.length);
  assert.equal(packet[8], 1, "TTL");
  assert.equal(packet[9], 17, "UDP");
  assert.deepEqual([...packet.subarray(16, 20)], [224, 0, 0, 1]);
  assert.equal(sum(packet.subarray(0, 20)), 0xffff);
  assert.equal(packet.readUInt16BE(24), packet.length - 20);
  const pseudo = sum(packet.subarray(12, 20), 17 + packet.length - 20);
  assert.equal(sum(packet.subarray(20), pseudo), 0xffff);
});

test("on a TAP it is a frame to an address that bridges keep to themselves", () => {
  const frame = encodeHello({ ...hello, tap: true });
  assert.equal(frame.subarray(0, 6).toString("hex"), "0180c200000e");
  assert.equal(frame.readUInt16BE(12), 0x88b5);
});

test("only an acknowledgement of this very hello counts", () => {
  const ack = encodeAck(hello.nonce, false);
  assert.ok(isAck(ack, hello.nonce, false));
  assert.ok(!isAck(ack, new Uint8Array(nonceBytes), false));
  assert.ok(!isAck(ack, hello.nonce, true));
  assert.ok(!isAck(encodeHello(hello), hello.nonce, false));
  assert.equal(parseHello(ack, false), undefined);
});

test("cut, changed and foreign packets are no hello", () => {
  const whole = encodeHello(hello);
  for (let length = 0; length < whole.length; length++) {
    assert.equal(parseHello(whole.subarray(0, length), false), undefined, `${length} bytes`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => parseHello(bytes, false) === undefined),
  );
  assert.equal(parseHello(encodeHello({ ...hello, name: "Not A Name" }), false), undefined);
  assert.equal(parseHello(encodeHello({ ...hello, virtualIp: "nowhere" }), false), undefined);
});
