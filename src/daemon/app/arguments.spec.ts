import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../common/errors.js";
import { help, parseArguments } from "./arguments.js";

test("without flags nothing is overridden", () => {
  assert.deepEqual(parseArguments([]), {
    mode: "run",
    dryRun: false,
    killSwitch: false,
    configFile: undefined,
    overrides: [],
  });
});

test("flags are taken in both forms and override the keys they stand for", () => {
  const args = parseArguments([
    "--state-dir=/tmp/s",
    "--socket",
    "/tmp/x.sock",
    "--socket-group",
    "vpn",
    "--cleanup",
    "--dry-run",
    "--log-level",
    "debug",
    "--metrics",
    "127.0.0.1:1",
    "--config",
    "/tmp/c.toml",
  ]);
  assert.equal(args.mode, "cleanup");
  assert.equal(args.dryRun, true);
  assert.equal(args.configFile, "/tmp/c.toml");
  assert.deepEqual(
    args.overrides.map(({ path, value, origin }) => [path.join("."), value, origin.file]),
    [
      ["state_dir", "/tmp/s", "--state-dir"],
      ["socket", "/tmp/x.sock", "--socket"],
      ["socket_group", "vpn", "--socket-group"],
      ["metrics.listen", "127.0.0.1:1", "--metrics"],
      ["log.level", "debug", "--log-level"],
    ],
  );
});

test("paths are made absolute", () => {
  assert.match(String(parseArguments(["--socket", "x"]).overrides[0]?.value), /^\/.*\/x$/);
  assert.match(parseArguments(["--config", "x"]).configFile ?? "", /^\/.*\/x$/);
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
    ["--config="],
    ["--check-config", "--cleanup"],
    ["--dry-run"],
    ["--metrics"],
    ["--takeover"],
    ["--kill-switch"],
    ["--cleanup", "--restore-kill-switch"],
    ["--restore-kill-switch", "--dry-run"],
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
    "--config",
    "--check-config",
    "--metrics",
    "--state-dir",
    "--socket",
    "--socket-group",
    "--log-level",
    "--cleanup",
    "--dry-run",
    "--help",
    "--version",
  ]) {
    assert.ok(help.includes(flag), flag);
  }
});
