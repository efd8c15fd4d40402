import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { tar } from "./tar.js";

const entries = [
  { name: "report/a.txt", data: Buffer.from("one\n") },
  { name: "report/empty", data: Buffer.alloc(0) },
  { name: "report/block", data: Buffer.alloc(512, "x") },
  { name: `report/${"n".repeat(90)}`, data: Buffer.alloc(1025, "y") },
];

test("the system's tar reads what is written", () => {
  const archive = tar(entries, 1_800_000_000);
  const list = execFileSync("tar", ["-tvf", "-"], { input: archive, encoding: "utf8", env: { TZ: "UTC" } });
  assert.match(list, /^-rw------- 0\/0 +4 2027-01-15 08:00 report\/a\.txt$/m);
  assert.equal(list.trimEnd().split("\n").length, entries.length);
  for (const { name, data } of entries)
    assert.deepEqual(execFileSync("tar", ["-xOf", "-", name], { input: archive }), Buffer.from(data));
});

test("a name that does not fit is refused", () => {
  for (const name of ["", "n".repeat(100), "line\nbreak", "é"])
    assert.throws(() => tar([{ name, data: Buffer.alloc(0) }], 0), RangeError);
});
