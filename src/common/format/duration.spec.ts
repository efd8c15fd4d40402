import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, formatRtt, parseDuration } from "./duration.js";

test("durations are parsed", () => {
  const cases: [string, number][] = [
    ["500ms", 0.5],
    ["15s", 15],
    ["1m30s", 90],
    ["2h", 7200],
    ["1d", 86_400],
    ["0.2", 0.2],
    ["15", 15],
  ];
  for (const [text, seconds] of cases) assert.equal(parseDuration(text), seconds, text);
});

test("what is no duration is refused", () => {
  for (const text of ["", "s", "-1s", "1x", "1s ", "1e3", "Infinity", "1s2", "99999d99999d", "9".repeat(40)])
    assert.equal(parseDuration(text), undefined, text);
});

test("durations and round trips are printed", () => {
  assert.equal(formatDuration(-3), "0s");
  assert.equal(formatDuration(59.9), "59s");
  assert.equal(formatDuration(63), "1m 3s");
  assert.equal(formatDuration(7200), "2h");
  assert.equal(formatDuration(90_000), "1d 1h");
  assert.equal(formatRtt(0.00031), "0.31 ms");
  assert.equal(formatRtt(0.0123), "12.3 ms");
  assert.equal(formatRtt(0.25), "250 ms");
});
