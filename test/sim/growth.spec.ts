import assert from "node:assert/strict";
import { test } from "node:test";
import { growth, settled } from "./growth.js";

const series = (length: number, value: (index: number) => number) =>
  Array.from({ length }, (_, index) => ({ at: 10 * index, value: value(index) }));

test("a steady rise is found in full, a fall is negative, level is nothing", () => {
  assert.equal(growth(series(41, (i) => 100 + i)), 40);
  assert.equal(growth(series(41, (i) => 100 - i)), -40);
  assert.equal(growth(series(41, () => 100)), 0);
  assert.equal(growth([]), 0);
  assert.equal(growth([{ at: 1, value: 5 }]), 0);
});

test("breathing and a few outliers are no growth, but hide none", () => {
  assert.ok(Math.abs(growth(series(40, (i) => 100 + (i % 4)))) < 2);
  assert.equal(growth(series(40, (i) => (i === 39 || i === 20 ? 500 : 100))), 0);
  const leak = growth(series(40, (i) => 100 + i + 3 * (i % 4)));
  assert.ok(leak > 35 && leak < 45, `${leak}`);
});

test("what was before the last two thirds does not count", () => {
  const samples = series(31, (i) => (i < 10 ? 10 * i : 100));
  assert.ok(growth(samples) > 0);
  assert.equal(growth(settled(samples)), 0);
});
