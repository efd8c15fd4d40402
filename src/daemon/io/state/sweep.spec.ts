import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { sweepState } from "./sweep.js";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vd-sweep-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const put = (path: string): string => {
  const full = join(root, path);
  mkdirSync(join(full, ".."), { recursive: true });
  writeFileSync(full, "{}");
  return full;
};

test("halves of a join or leave go, whole networks and what was set aside stay", async () => {
  const kept = [
    "networks/home.json",
    "secrets/home.json",
    "peers/home.json",
    "filters/home.json",
    "secrets/old.json.damaged-1",
    "journal.json",
    "events.jsonl",
  ].map(put);
  const stale = [
    "journal.json.tmp",
    "networks/half.json.tmp",
    "secrets/half.json",
    "peers/half.json",
    "filters/half.json",
    "filters/home.json.tmp",
    "peers/home.json.tmp",
  ].map(put);
  assert.deepEqual((await sweepState(root)).sort(), stale.sort());
  for (const path of kept) assert.ok(existsSync(path), path);
  for (const path of stale) assert.ok(!existsSync(path), path);
  assert.deepEqual(await sweepState(root), []);
});

test("without the folder of configs keys are kept", async () => {
  const secret = put("secrets/home.json");
  assert.deepEqual(await sweepState(root), []);
  assert.ok(existsSync(secret));
  assert.deepEqual(await sweepState(join(root, "nowhere")), []);
});
