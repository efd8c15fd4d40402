import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnnouncedPeer } from "../carrier.js";
import { carriedBy, chooseExit } from "./choose.js";

const peer = (number: number, up: boolean, v4 = true, v6 = false): AnnouncedPeer => ({
  virtualIp: `10.0.0.${number}`,
  name: `n${number}`,
  nodeKey: `k${number}`,
  up,
  what: { exit: { v4, v6, seen: [`192.0.2.${number}`] }, routes: [] },
});
const client = (number: number) => ({ virtualIp: `10.0.0.${number}`, nodeKey: `k${number}` });
const states = (chosen: ReturnType<typeof chooseExit>): string[] =>
  chosen.exits.map((exit) => `${exit.nodeKey} ${exit.state}`);

test("unused, offers are only listed", () => {
  const chosen = chooseExit(undefined, [peer(3, true), peer(2, true), peer(4, true, false)], undefined);
  assert.deepEqual(states(chosen), ["k2 offered", "k3 offered"]);
  assert.equal(chosen.active, undefined);
  assert.equal(chosen.reason, undefined);
});

test("the first of the list that is up and offers carries everything", () => {
  const use = { peers: [client(4), client(3), client(2), client(9)] };
  const now = [peer(2, true), peer(3, true), peer(4, false), peer(5, true)];
  const chosen = chooseExit(use, now, "k2");
  assert.deepEqual(states(chosen), ["k4 offline", "k3 active", "k2 standby", "k9 offline", "k5 offered"]);
  assert.deepEqual(chosen.active?.seen, ["192.0.2.3"]);
});

test("nobody else is taken when the chosen ones cannot", () => {
  const away = chooseExit({ peers: [client(2)] }, [peer(2, false), peer(3, true)], "k2");
  assert.equal(away.active, undefined);
  assert.equal(away.reason?.code, "offline");
  const withdrawn = chooseExit({ peers: [client(2)] }, [peer(2, true, false), peer(3, true)], "k2");
  assert.equal(withdrawn.active, undefined);
  assert.deepEqual(withdrawn.reason, { code: "withdrawn", message: "n2 is up, but is no exit node" });
});

test("auto takes any that offers, and stays with it", () => {
  const peers = [peer(2, true), peer(3, true), peer(4, true, false)];
  assert.equal(chooseExit({ peers: "auto" }, peers, undefined).active?.nodeKey, "k2");
  assert.equal(chooseExit({ peers: "auto" }, peers, "k3").active?.nodeKey, "k3");
  assert.equal(chooseExit({ peers: "auto" }, [peer(2, true), peer(3, false)], "k3").active?.nodeKey, "k2");
  assert.equal(chooseExit({ peers: "auto" }, [], "k3").reason?.code, "offline");
});

test("a family that it does not carry, or that we have no address for, is not sent to it", () => {
  const [both] = chooseExit(undefined, [peer(2, true, true, true)], undefined).exits;
  const [four] = chooseExit(undefined, [peer(2, true)], undefined).exits;
  assert.ok(both && four);
  assert.deepEqual(carriedBy(both, "10.0.0.1/24"), ["0.0.0.0/0", "::/0"]);
  assert.deepEqual(carriedBy(four, "10.0.0.1/24"), ["0.0.0.0/0"]);
  assert.deepEqual(carriedBy(both, "fd00::1/64"), ["::/0"]);
});
