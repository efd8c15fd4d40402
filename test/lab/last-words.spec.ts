import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lastWords } from "./last-words.js";

test("the last lines of those who spoke last, cut short", () => {
  const folder = mkdtempSync(join(tmpdir(), "last-words-"));
  for (const [second, name, text] of [
    [1, "early.log", "one\n"],
    [3, "late.log", `one\ntwo\n${"x".repeat(300)}\n`],
    [2, "silent.log", ""],
  ] as const) {
    writeFileSync(join(folder, name), text);
    utimesSync(join(folder, name), second, second);
  }
  const words = lastWords(folder);
  rmSync(folder, { recursive: true });
  assert.deepEqual(words, ["late.log: two", `late.log: ${"x".repeat(200)}`, "early.log: one"]);
});
