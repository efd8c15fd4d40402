import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { explainedExitCodes, manPage } from "../../scripts/generate-man.js";
import { errorTable } from "../../src/common/errors.js";

test("docs/man/vpnctl.1 is what the command tree gives", () => {
  const committed = readFileSync(new URL("../../docs/man/vpnctl.1", import.meta.url), "utf8");
  assert.equal(committed, manPage(), "run: tsx scripts/generate-man.ts");
});

test("the page explains every exit code, and each command", () => {
  for (const { exit } of Object.values(errorTable)) assert(explainedExitCodes.includes(exit), String(exit));
  for (const command of ["join", "peer remove", "psk generate", "stats"])
    assert(manPage().includes(`.SS "vpnctl ${command}`), command);
});

test("options that this version refuses are not in the page", () => {
  assert(!manPage().includes("invite-file"));
});
