import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../common/errors.js";
import { help, parseArguments } from "./arguments.js";

test("without flags the defaults hold", () => {
  assert.deepEqual(parseArguments([]), {
    mode: "run",
    stateDir: "/var/lib/vpnd",
    socket: "/run/vpnd/vpnd.sock",
    group: "vpnd",
    groupGiven: false,
    logLevel: "info",
  });
});

test("flags are taken in both forms", () => {
  const args = parseArguments([
    "--state-dir=/tmp/s",
    "--socket",
    "/tmp/x.sock",
    "--cleanup",
    "--log-level",
    "debug",
  ]);
  assert.equal(args.stateDir, "/tmp/s");
  assert.equal(args.socket, "/tmp/x.sock");
  assert.equal(args.mode, "cleanup");
  assert.equal(args.logLevel, "debug");
});

test("bad flags end in one line and exit code 2", () => {
  const bad = [
    ["--nonsense"],
    ["word"],
    ["--socket"],
    ["--socket="],
    ["--socket", "/a", "--socket", "/b"],
    ["--log-level", "loud"],
    ["--cleanup=1"],
    ["--config", "f"],
    ["--check-config"],
    ["--metrics", "1:1"],
    ["--takeover"],
    ["--cleanup", "--kill-switch"],
  ];
  for (const argv of bad) {
    assert.throws(
      () => parseArguments(argv),
      (error) => error instanceof VpnError && error.exitCode === 2 && !error.message.includes("\n"),
      argv.join(" "),
    );
  }
});

test("help names every flag that works", () => {
  for (const flag of [
    "--state-dir",
    "--socket",
    "--socket-group",
    "--log-level",
    "--cleanup",
    "--help",
    "--version",
  ]) {
    assert.ok(help.includes(flag), flag);
  }
});
