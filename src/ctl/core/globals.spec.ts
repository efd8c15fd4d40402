import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../common/errors.js";
import { networkOf, parseGlobals } from "./globals.js";

test("defaults", () => {
  const { globals, rest } = parseGlobals(["peers"], {});
  assert.deepEqual(rest, ["peers"]);
  assert.deepEqual(globals, {
    socket: "/run/vpnd/vpnd.sock",
    json: false,
    network: "",
    timeoutSeconds: 15,
    timeoutGiven: false,
    debug: false,
  });
});

test("flags are found anywhere before --, and in each form", () => {
  const argv = [
    "-nhome",
    "ping",
    "--socket=/a=b",
    "nas",
    "-c",
    "3",
    "--timeout",
    "1m",
    "--debug",
    "--",
    "--json",
  ];
  const { globals, rest } = parseGlobals(argv, { VPND_SOCKET: "/env" });
  assert.deepEqual(rest, ["ping", "nas", "-c", "3", "--", "--json"]);
  assert.equal(globals.network, "home");
  assert.equal(globals.socket, "/a=b");
  assert.equal(globals.timeoutSeconds, 60);
  assert.equal(globals.json, false);
  assert.equal(globals.debug, true);
});

test("the environment names the socket, unless it is empty", () => {
  assert.equal(parseGlobals([], { VPND_SOCKET: "/env" }).globals.socket, "/env");
  assert.equal(parseGlobals([], { VPND_SOCKET: "" }).globals.socket, "/run/vpnd/vpnd.sock");
});

test("bad flags are usage errors", () => {
  for (const argv of [["-n"], ["--timeout", "0s"], ["-n", "a", "--network=b"], ["--socket="], ["--debug=1"]])
    assert.throws(
      () => parseGlobals(argv, {}),
      (error) => error instanceof VpnError && error.code === "usage" && error.hint !== undefined,
      argv.join(" "),
    );
});

test("the positional network wins over nothing and must agree with -n", () => {
  const { globals } = parseGlobals(["-n", "home"], {});
  assert.equal(networkOf(globals, undefined), "home");
  assert.equal(networkOf(globals, "home"), "home");
  assert.throws(() => networkOf(globals, "lab"), /two networks are named/);
});
