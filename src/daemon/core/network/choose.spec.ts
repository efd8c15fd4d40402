import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import { chooseNetwork, chooseNetworks } from "./choose.js";
import { findPeer } from "./find-peer.js";

const code = (wanted: string, hint: RegExp) => (error: unknown) =>
  error instanceof VpnError && error.code === wanted && hint.test(error.hint ?? "");

test("the only network needs no name", () => {
  assert.equal(chooseNetwork("", ["a"]), "a");
  assert.equal(chooseNetwork("a", ["b", "a"]), "a");
  assert.deepEqual(chooseNetworks("", ["b", "a"]), ["a", "b"]);
});

test("none, several and unknown networks are told apart", () => {
  assert.throws(() => chooseNetwork("", []), code("not-configured", /vpnctl join/));
  assert.throws(() => chooseNetwork("x", []), code("not-configured", /vpnctl join/));
  assert.throws(() => chooseNetworks("", []), code("not-configured", /vpnctl join/));
  assert.throws(() => chooseNetwork("", ["b", "a"]), code("usage", /a, b/));
  assert.throws(() => chooseNetwork("x", ["b", "a"]), code("not-found", /a, b/));
});

const peers = [
  { network: "home", virtualIp: "10.0.0.1", name: "alpha" },
  { network: "office", virtualIp: "10.1.0.1", name: "alpha" },
  { network: "office", virtualIp: "10.1.0.2", name: "beta" },
  { network: "office", virtualIp: "10.1.0.3" },
];

test("a peer is found by name, full name and address", () => {
  assert.equal(findPeer("BETA", peers).virtualIp, "10.1.0.2");
  assert.equal(findPeer("alpha.office", peers).virtualIp, "10.1.0.1");
  assert.equal(findPeer("10.1.0.3", peers).virtualIp, "10.1.0.3");
});

test("an ambiguous peer gives the candidates, an unknown one a hint", () => {
  assert.throws(
    () => findPeer("alpha", peers),
    code("ambiguous", /10\.0\.0\.1 \(alpha\.home\), 10\.1\.0\.1/),
  );
  assert.throws(() => findPeer("nobody", peers), code("not-found", /vpnctl peers/));
  assert.throws(() => findPeer("", peers), code("usage", /vpnctl peers/));
  assert.throws(() => findPeer(".office", peers), code("not-found", /vpnctl peers/));
});
