import assert from "node:assert/strict";
import { test } from "node:test";
import type { CarrierEvent } from "../carrier.js";
import { Repeats } from "./repeats.js";

function refused(peer: string, endpoint = "e"): CarrierEvent {
  const reason = { code: "pinned", message: "m" };
  return { type: "error", peer: { virtualIp: peer }, reason, endpoint, message: "refused" };
}

test("one at once, the number of the others after a minute, then ever more seldom", () => {
  const repeats = new Repeats();
  assert.equal(repeats.wakeAt(), Number.POSITIVE_INFINITY);
  const told: [at: number, number | undefined][] = [];
  for (let now = 0; now < 8 * 60_000; now += 1000) {
    const event = repeats.take(refused("a", `${now}`), now);
    for (const one of [event, ...repeats.due(now)]) if (one !== undefined) told.push([now, one.repeats]);
  }
  assert.deepEqual(told, [
    [0, undefined],
    [60_000, 60],
    [180_000, 120],
    [420_000, 240],
  ]);
});

test("what has been quiet for a window is news again", () => {
  const repeats = new Repeats();
  assert.ok(repeats.take(refused("a"), 0));
  assert.deepEqual(repeats.due(60_000), []);
  assert.ok(repeats.take(refused("a"), 60_001));
});

test("however many are impersonated, few are told", () => {
  const repeats = new Repeats();
  let told = 0;
  for (let i = 0; i < 10_000; i++) if (repeats.take(refused(`10.0.${i >> 8}.${i & 255}`), 0)) told += 1;
  assert.ok(told <= 40, `${told} events`);
  const due = repeats.due(60_000);
  assert.equal(
    due.reduce((sum, event) => sum + (event.repeats ?? 0), told),
    10_000,
  );
  assert.ok(due.length <= 40);
});

test("the message says how often", () => {
  const repeats = new Repeats();
  repeats.take(refused("a"), 0);
  repeats.take(refused("a"), 1);
  assert.equal(repeats.due(60_000)[0]?.message, "refused (once more within 1 min)");
});
