import assert from "node:assert/strict";
import { test } from "node:test";
import { Pins, pinLifetimeMs, readPins, withoutPin } from "./pins.js";

const alpha = "aa".repeat(32);
const beta = "bb".repeat(32);
const day = 24 * 3600 * 1000;

test("the first key at an address is pinned, another is a mismatch", () => {
  const pins = new Pins();
  assert.equal(pins.check("10.0.0.1", alpha, 0), "new");
  assert.equal(pins.see("10.0.0.1", alpha, 0), true);
  assert.equal(pins.see("10.0.0.1", alpha, 5), false);
  assert.equal(pins.check("10.0.0.1", alpha, 5), "match");
  assert.equal(pins.check("10.0.0.1", beta, 5), "mismatch");
  assert.equal(pins.check("10.0.0.2", beta, 5), "new");
  assert.deepEqual(pins.list(5), [{ address: "10.0.0.1", nodeKey: alpha, since: 0, lastSeen: 5 }]);
});

test("a pin is forgotten by command, or when unseen for 30 days", () => {
  const pins = new Pins([{ address: "10.0.0.1", nodeKey: alpha, since: 0, lastSeen: day }]);
  assert.equal(pins.check("10.0.0.1", beta, day + pinLifetimeMs - 1), "mismatch");
  assert.equal(pins.check("10.0.0.1", beta, day + pinLifetimeMs), "new");
  assert.deepEqual(pins.list(day + pinLifetimeMs), []);
  assert.equal(pins.forget("10.0.0.1"), true);
  assert.equal(pins.forget("10.0.0.1"), false);
});

test("the table is bounded: the pin unseen for longest goes", () => {
  const pins = new Pins();
  for (let i = 0; i < 5000; i++) pins.see(`10.1.${i >> 8}.${i & 255}`, alpha, i);
  assert.equal(pins.list(5000).length, 4096);
  assert.equal(pins.check("10.1.0.0", beta, 5000), "new");
  assert.equal(pins.check("10.1.19.135", beta, 5000), "mismatch");
});

test("stored JSON that is no pin is left out", () => {
  const good = { address: "10.0.0.1", nodeKey: alpha, since: 1, lastSeen: 2 };
  const read = readPins([good, null, 3, {}, { ...good, nodeKey: "xyz" }, { ...good, lastSeen: "2" }]);
  assert.deepEqual(read, [good]);
  assert.deepEqual(readPins(undefined), []);
  assert.deepEqual(readPins({ length: 1 }), []);
});

test("a stored pin is taken out by its address", () => {
  const pin = (address: string) => ({ address, nodeKey: alpha, since: 1, lastSeen: 2 });
  const stored = [pin("10.0.0.1"), pin("10.0.0.2")];
  assert.deepEqual(withoutPin(stored, "10.0.0.1"), [pin("10.0.0.2")]);
  assert.equal(withoutPin(stored, "10.0.0.3"), undefined);
  assert.equal(withoutPin("nonsense", "10.0.0.3"), undefined);
});
