import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatRate } from "./bytes.js";

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
