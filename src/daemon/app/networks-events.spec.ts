import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../common/errors.js";
import type { Networks } from "./networks.js";
import { failed, fails, networksBench, never, request } from "./networks-bench.js";

const bench = networksBench();

/** What is told of networks from now on, in short. */
function tellings(networks: Networks): string[] {
  const told: string[] = [];
  networks.onEvent = (network, { type, peer, state, reason }) =>
    told.push([network, type, peer?.virtualIp, state, reason?.code].filter(Boolean).join(" "));
  return told;
}

test("the life of a network is told in order, each thing once, however fast it goes", async () => {
  const networks = await bench.networks();
  const told = tellings(networks);
  await networks.join(request(), never);
  const say = bench.carriers[0]?.onEvent;
  say?.({ type: "up", state: "up", message: "" });
  say?.({ type: "up", peer: { virtualIp: "10.0.0.2" }, state: "up", message: "" });
  await networks.down("default", false, false);
  await networks.up("default", false);
  bench.carriers[1]?.onEvent({ type: "up", state: "up", message: "" });
  await networks.leave("default", false);
  assert.deepEqual(told, [
    "default up up",
    "default up 10.0.0.2 up",
    "default down down",
    "default up up",
    "default down down",
    "default down left left",
  ]);
});

test("a join that fails is not told, a network that fails is told once", async () => {
  bench.whenMade = (carrier) => carrier.fail(new VpnError("conflict", "held", { hint: "x" }));
  const networks = await bench.networks();
  const told = tellings(networks);
  await assert.rejects(networks.join(request(), never), fails("conflict"));
  assert.deepEqual(told, []);
  bench.whenMade = () => {};
  await networks.join(request({}, { noWait: true }), never);
  const last = bench.carriers.at(-1);
  const reason = { code: "conflict", message: "held" };
  last?.onEvent({ type: "error", state: "error", reason, message: "" });
  last?.fail(new VpnError("conflict", "held"));
  await failed(networks);
  assert.deepEqual(told, ["default error error conflict"]);
});
