import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "./backoff.js";

test("backoff doubles from half a second to 30 s, give or take a quarter", () => {
  const rule = { firstMs: 500, maxMs: 30_000 };
  assert.deepEqual(
    [1, 2, 3, 7, 100].map((failures) => backoffMs(rule, failures, 0.5)),
    [500, 1000, 2000, 30_000, 30_000],
  );
  assert.equal(backoffMs(rule, 1, 0), 375);
  assert.ok(backoffMs(rule, 3, 0.999) <= 2500);
});
