import assert from "node:assert/strict";
import { test } from "node:test";
import { groupId } from "./api-socket.js";
import { hasNetAdmin, requireTunDriver } from "./privilege.js";

test("CAP_NET_ADMIN is bit 12 of CapEff", () => {
  assert.ok(hasNetAdmin("CapPrm:\t0\nCapEff:\t000001ffffffffff\n"));
  assert.ok(hasNetAdmin("CapEff:\t0000000000001000\n"));
  assert.ok(!hasNetAdmin("CapEff:\t0000000000000fff\n"));
  assert.ok(!hasNetAdmin("CapPrm:\t000001ffffffffff\n"));
});

test("a missing TUN driver is told with the way to load it", () => {
  assert.throws(() => requireTunDriver("/nonexistent/tun"), /there is no \/nonexistent\/tun/);
  assert.throws(() => requireTunDriver("/etc/hostname"), /there is no/);
  assert.throws(() => requireTunDriver("/dev/null"), /there is no/);
});

test("groups are found by their whole name", () => {
  const text = "root:x:0:\nvpnd-admins:x:7:\nvpnd:x:998:alice,bob\nbad:x:\n";
  assert.equal(groupId(text, "vpnd"), 998);
  assert.equal(groupId(text, "vpn"), undefined);
  assert.equal(groupId(text, "bad"), undefined);
});
