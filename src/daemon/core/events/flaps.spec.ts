import assert from "node:assert/strict";
import { test } from "node:test";
import type { CarrierEvent } from "../carrier.js";
import { Flaps } from "./flaps.js";

const change = (type: "up" | "down", peer = "a"): CarrierEvent => ({
  type,
  peer: { virtualIp: peer },
  state: type === "up" ? "up" : "offline",
  message: `${peer} is ${type}`,
});

/** What is told of a peer that changes every 5 s until `end`, and of the time after. */
function flap(
  flaps: Flaps,
  end: number,
  until: number,
): [at: number, type: string, repeats: number | undefined][] {
  const told: [number, string, number | undefined][] = [];
  for (let now = 0; now < until; now += 1000) {
    const type = (now / 5000) % 2 === 0 ? "up" : "down";
    const event = now < end && now % 5000 === 0 ? flaps.take(change(type), now) : undefined;
    for (const one of [event, ...flaps.due(now)])
      if (one !== undefined) told.push([now, one.type, one.repeats]);
  }
  return told;
}

test("what comes and goes a few times is told at once, each time", () => {
  const flaps = new Flaps();
  const told = flap(flaps, 50_000, 400_000);
  assert.equal(told.length, 10);
  assert.deepEqual(told.at(-1), [45_000, "down", undefined]);
  assert.equal(flaps.wakeAt(), Number.POSITIVE_INFINITY);
});

test("what does so all the time is told ever more seldom, and once when it has ended", () => {
  const told = flap(new Flaps(), 600_000, 800_000).slice(10);
  // Held from 50 s on; windows of one, two and four minutes, then the end at 595 s and a minute of quiet.
  assert.deepEqual(told, [
    [110_000, "up", 13],
    [235_000, "down", 25],
    [480_000, "up", 49],
    [655_000, "down", 23],
  ]);
});

test("after some quiet each change is told at once again", () => {
  const flaps = new Flaps();
  flap(flaps, 100_000, 410_000);
  assert.ok(flaps.take(change("up"), 410_000));
});

test("another peer's changes are told meanwhile", () => {
  const flaps = new Flaps();
  for (let i = 0; i < 100; i++) flaps.take(change("up"), i);
  assert.ok(flaps.take(change("up", "b"), 100));
});

test("a single held change is told as it was", () => {
  const flaps = new Flaps();
  for (let i = 0; i < 11; i++) flaps.take(change("up"), i);
  assert.equal(flaps.wakeAt(), 60_010);
  assert.deepEqual(flaps.due(60_010), [change("up")]);
});

test("at the end nothing is held back, and however many flap, little is kept", () => {
  const flaps = new Flaps();
  for (let peer = 0; peer < 1000; peer++)
    for (let i = 0; i < 12; i++) flaps.take(change("down", `${peer}`), i);
  const rest = flaps.rest();
  assert.ok(rest.length <= 257, `${rest.length} are kept`);
  // Ten of each of 256 peers were told at once, and ten of all others together.
  assert.equal(
    rest.reduce((sum, event) => sum + (event.repeats ?? 1), 0),
    12_000 - 2570,
  );
  assert.deepEqual(flaps.rest(), []);
});
