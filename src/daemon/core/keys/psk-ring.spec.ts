import assert from "node:assert/strict";
import { test } from "node:test";
import { maxPsks, type PskMoment, PskRing } from "./psk-ring.js";

const key = (fill: number) => new Uint8Array(32).fill(fill);
const hour = 3_600_000;
const start: PskMoment = { now: 1_000, wall: 1_000_000_000 };
/** Both clocks go on. */
const later = (ms: number, wallJump = 0): PskMoment => ({
  now: start.now + ms,
  wall: start.wall + ms + wallJump,
});
const fresh = () => PskRing.load({ psk: key(1), since: 5, former: [] }, start);
const fills = (ring: PskRing, at = start) => ring.epochs(at).map(({ psk }) => psk[0]);

test("a new PSK is preferred, the former one accepted until its time is over", () => {
  const ring = fresh().prefer(key(2), hour, start);
  assert.deepEqual(fills(ring), [2, 1]);
  const [preferred, former] = ring.epochs(start);
  assert.equal(preferred?.since, start.wall);
  assert.equal(preferred?.until, undefined);
  assert.equal(former?.since, 5);
  assert.equal(former?.until, start.wall + hour);
  assert.equal(ring.nextEnd, start.now + hour);
  assert.equal(ring.expire(later(hour - 1)), ring, "nothing to give up is no change");
  assert.deepEqual(fills(ring.expire(later(hour))), [2]);
  assert.equal(ring.expire(later(hour)).nextEnd, undefined);
});

test("a change leaves the ring that it came from as it was", () => {
  const before = fresh();
  before.prefer(key(2), hour, start);
  assert.deepEqual(fills(before), [1]);
});

test("ids are of one PSK for ever, also when a former one comes back", () => {
  const first = fresh();
  const second = first.prefer(key(2), hour, start);
  const back = second.prefer(key(1), hour, later(10));
  assert.deepEqual(fills(back), [1, 2]);
  const ids = (ring: PskRing) => ring.epochs(start).map(({ id }) => id);
  assert.deepEqual(ids(first), [1]);
  assert.deepEqual(ids(second), [2, 1]);
  assert.deepEqual(ids(back), [1, 2]);
  const third = second.expire(later(hour)).prefer(key(1), hour, later(hour));
  assert.deepEqual(ids(third), [3, 2], "what was given up comes back as new: nothing runs under it any more");
});

test("the same PSK again only shortens what is left to the others", () => {
  const ring = fresh().prefer(key(2), hour, start);
  assert.equal(ring.prefer(key(2), 7 * hour, start).nextEnd, ring.nextEnd);
  const shorter = ring.prefer(key(2), 1_000, later(500));
  assert.equal(shorter.nextEnd, start.now + 1_500);
  assert.deepEqual(fills(ring.prefer(key(2), 0, start)), [2]);
  assert.deepEqual(fills(ring.prefer(key(3), 0, start)), [3], "no grace: all former ones end");
});

test("no more PSKs are accepted than strangers may make us try", () => {
  let ring = fresh();
  for (let fill = 2; fill <= maxPsks; fill++) ring = ring.prefer(key(fill), hour, start);
  assert.equal(ring.epochs(start).length, maxPsks);
  assert.throws(() => ring.prefer(key(9), hour, start), { code: "failed", hint: /--grace 0/ });
  assert.deepEqual(fills(ring.prefer(key(9), 0, start)), [9]);
});

test("a grace period goes on over a restart", () => {
  const stored = fresh().prefer(key(2), hour, start).stored(start);
  // The monotonic clock begins anew.
  const loaded = PskRing.load(stored, { now: 7, wall: start.wall + hour / 2 });
  assert.equal(loaded.nextEnd, 7 + hour / 2);
  assert.deepEqual(fills(loaded), [2, 1]);
  const over = { now: 7, wall: start.wall + hour };
  assert.deepEqual(fills(PskRing.load(stored, over).expire(over)), [2]);
});

test("a clock that is put right neither ends nor prolongs a grace period", () => {
  const ring = fresh().prefer(key(2), hour, start);
  const year = 365 * 24 * hour;
  assert.equal(ring.expire(later(10, year)), ring);
  assert.equal(ring.expire(later(10, -year)), ring);
  // What is shown and written follows the clock.
  const at = later(10, year);
  assert.equal(ring.epochs(at)[1]?.until, at.wall + hour - 10);
  assert.equal(ring.stored(at).former[0]?.until, at.wall + hour - 10);
});

test("a clock put back before a restart gives no more than was asked for", () => {
  const stored = fresh().prefer(key(2), hour, start).stored(start);
  const loaded = PskRing.load(stored, { now: 0, wall: 0 });
  assert.equal(loaded.nextEnd, hour);
});
