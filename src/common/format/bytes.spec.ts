import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatRate, parseBytes } from "./bytes.js";

test("bytes are printed with three digits", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [900, "900 B"],
    [1000, "0.98 KiB"],
    [1536, "1.50 KiB"],
    [1024 * 1024 * 1.2, "1.20 MiB"],
    [123 * 1024 ** 3, "123 GiB"],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
  assert.equal(formatRate(2048), "2.00 KiB/s");
});

test("sizes are parsed, and anything else is refused", () => {
  assert.equal(parseBytes("512"), 512);
  assert.equal(parseBytes("64K"), 65_536);
  assert.equal(parseBytes("10MiB"), 10 * 1024 ** 2);
  assert.equal(parseBytes("1GB"), 1e9);
  for (const text of ["", "K", "-1", "1Q", "1 000", "999999999999999T"])
    assert.equal(parseBytes(text), undefined);
});
