import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RateLimit } from "./rate-limit.js";

const take = (limit: RateLimit, asker: string, now: number, times: number): number =>
  Array.from({ length: times }, () => limit.take(asker, now)).filter(Boolean).length;

describe("rate limit", () => {
  it("lets a burst through, and then so many a second", () => {
    const limit = new RateLimit({ perSecond: 10, burst: 5, askers: 10 });
    assert.equal(take(limit, "a", 0, 9), 5);
    assert.equal(take(limit, "a", 300, 9), 3);
    assert.equal(take(limit, "a", 60_000, 9), 5, "no more than a burst is saved");
  });

  it("keeps askers apart, and not more of them than it may", () => {
    const limit = new RateLimit({ perSecond: 1, burst: 1, askers: 2 });
    assert.ok(limit.take("a", 0));
    assert.ok(limit.take("b", 0));
    assert.ok(!limit.take("a", 0));
    assert.ok(limit.take("c", 0), "b was silent longest");
    assert.ok(!limit.take("a", 0), "still known");
    assert.ok(limit.take("b", 0), "forgotten");
  });
});
