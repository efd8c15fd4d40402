import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const suite = `
const { describe, it } = require("node:test");
describe("suite", () => {
  it("passes", () => {});
  it("fails first", () => { throw new Error("reason\\n\\n" + "more\\n".repeat(70)); });
  it("fails then", () => { throw new Error("follows\\nmore"); });
});`;

test("what failed is told with its reason, the first of a suite in full", () => {
  const folder = mkdtempSync(join(tmpdir(), "failures-"));
  writeFileSync(join(folder, "a.test.cjs"), suite);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const reporter = fileURLToPath(new URL("failures.mjs", import.meta.url));
  const args = ["--test", "--test-reporter", reporter, "a.test.cjs"];
  const { stdout } = spawnSync(process.execPath, args, { cwd: folder, env, encoding: "utf8" });
  rmSync(folder, { recursive: true });
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    "a.test.cjs: suite: fails first",
    "    Error: reason",
    ...Array.from({ length: 44 }, () => "    more"),
    "a.test.cjs: suite: fails then",
    "    Error: follows",
  ]);
});
