import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VpnError } from "../../common/errors.js";
import { evaluateSettings } from "../core/config.js";
import { parseArguments } from "./arguments.js";
import { help } from "./help.js";

describe("iexd's flags", () => {
  it("need not be given", () => {
    assert.deepEqual(settings([]), {
      listen: undefined,
      allowed: [],
      maxNodes: 600,
      metrics: undefined,
      logLevel: "info",
    });
  });

  it("take lists and both families", () => {
    const args = settings([
      "--listen=192.0.2.1:9944,[2001:db8::1]:0",
      "--badger",
      "--badger-allow=10.0.0.0/8,fd00::/8",
      "--max-nodes=5",
      "--store=memory",
      "--metrics=[::1]:9100",
      "--log-level=debug",
      "--state-dir=/nowhere",
    ]);
    assert.deepEqual(args.listen, [
      { address: "192.0.2.1", port: 9944, family: 4 },
      { address: "2001:db8::1", port: 0, family: 6 },
    ]);
    assert.equal(args.allowed.length, 2);
    assert.equal(args.maxNodes, 5);
    assert.deepEqual(args.metrics, { address: "::1", port: 9100, family: 6 });
    assert.equal(args.logLevel, "debug");
  });

  it("allow any free port more than once, but no other", () => {
    assert.equal(settings(["--listen", "127.0.0.1:0,127.0.0.1:0"]).listen?.length, 2);
    refused(["--listen", "127.0.0.1:1,127.0.0.1:1"], /twice/);
  });

  it("are refused with a reason and a hint", () => {
    refused(["--listen", "9944"], /"9944" is no ADDR:PORT/);
    refused(["--listen", ""], /"" is no ADDR:PORT/);
    refused(["--listen", "127.0.0.1:1,"], /"" is no ADDR:PORT/);
    refused(["--listen", "[::1]:1", "--listen", "[::1]:2"], /--listen is given twice/);
    refused(["--metrics", "localhost:1"], /--metrics/);
    refused(["--badger-allow", "10.0.0.0/99"], /--badger-allow/);
    for (const count of ["0", "1001", "-1", "1e2", "six", ""])
      refused([`--max-nodes=${count}`], /--max-nodes/);
    refused(["--store", "etcd://127.0.0.1:2379"], /etcd is not supported by this version/);
    refused(["--store", "disk"], /--store disk is unknown/);
    refused(["--log-level", "loud"], /loud is no log level/);
    refused(["--nonsense"], /unknown option/);
    refused(["nonsense"], /unexpected argument/);
    refused(["--badger=yes"], /badger/);
  });

  it("of versions to come are refused, not ignored", () => {
    for (const flag of ["listen-wss", "tls-cert", "tls-key", "allow-network", "relay"])
      refused([`--${flag}`, "x"], /is not supported by this version/);
  });

  it("are all in the help", () => {
    for (const flag of [
      "config",
      "check-config",
      "listen",
      "badger",
      "badger-allow",
      "max-nodes",
      "store",
      "state-dir",
      "metrics",
      "log-level",
      "help",
      "version",
    ])
      assert.ok(help.includes(`--${flag}`), flag);
    for (const line of help.split("\n")) assert.ok(line.length <= 115, line);
  });
});

/** What the flags come to without any config file. */
function settings(argv: string[]) {
  const evaluated = evaluateSettings(parseArguments(argv).overrides);
  assert.deepEqual(evaluated.problems, []);
  assert.ok(evaluated.settings);
  return evaluated.settings;
}

function refused(argv: string[], message: RegExp): void {
  assert.throws(
    () => parseArguments(argv),
    (error) => {
      assert.ok(error instanceof VpnError);
      assert.equal(error.code, "usage");
      assert.match(error.message, message);
      assert.ok(error.hint !== undefined && error.hint !== "");
      return true;
    },
  );
}
