import assert from "node:assert/strict";
import { test } from "node:test";
import { otherOfTwo, sourceWithin } from "./other-end.js";

test("a prefix with room for two names the other one", () => {
  assert.equal(otherOfTwo("10.0.0.1/30"), "10.0.0.2");
  assert.equal(otherOfTwo("10.0.0.6/30"), "10.0.0.5");
  assert.equal(otherOfTwo("10.0.0.0/31"), "10.0.0.1");
  assert.equal(otherOfTwo("10.0.0.9/31"), "10.0.0.8");
  assert.equal(otherOfTwo("10.0.0.1/24"), undefined);
  assert.equal(otherOfTwo("fd00::1/127"), undefined);
});

const packet = (source: string): Buffer => Buffer.from(`4500001400000000400600000a${source}0a000001`, "hex");

test("a packet's source is the other end's address only within the prefix", () => {
  assert.equal(sourceWithin(packet("000002"), false, "10.0.0.1/24"), "10.0.0.2");
  assert.equal(sourceWithin(packet("000102"), false, "10.0.0.1/24"), undefined);
  assert.equal(sourceWithin(packet("000001"), false, "10.0.0.1/24"), undefined, "our own");
  assert.equal(sourceWithin(packet("000002"), false, "fd00::1/64"), undefined);
  assert.equal(sourceWithin(packet("000002").subarray(0, 19), false, "10.0.0.1/24"), undefined);
  assert.equal(sourceWithin(Buffer.alloc(0), false, "10.0.0.1/24"), undefined);
});

test("IPv6 packets, Ethernet frames and ARP have their sources where they are", () => {
  const six = Buffer.alloc(40);
  six[0] = 0x60;
  six.set([0xfd, 0], 8);
  six[23] = 2;
  assert.equal(sourceWithin(six, false, "fd00::1/64"), "fd00::2");
  const ethernet = Buffer.from("ffffffffffff020000000001", "hex");
  const frame = Buffer.concat([ethernet, Buffer.from("0800", "hex"), packet("000002")]);
  assert.equal(sourceWithin(frame, true, "10.0.0.1/24"), "10.0.0.2");
  const arp = Buffer.from("0001080006040001020000000001" + "0a000003" + "0000000000000a000001", "hex");
  assert.equal(
    sourceWithin(Buffer.concat([ethernet, Buffer.from("0806", "hex"), arp]), true, "10.0.0.1/24"),
    "10.0.0.3",
  );
});
