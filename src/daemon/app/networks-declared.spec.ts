import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ReadyNetwork } from "../io/config/load.js";
import { fails, networksBench, never, request } from "./networks-bench.js";

const bench = networksBench();

const declared = (name: string, vip: string, up = true): ReadyNetwork => ({
  options: request({ network: name, virtualIp: vip }).options,
  pskFile: "/k",
  psk: Buffer.alloc(32, 5),
  up,
  origin: { file: "c.toml", line: 7 },
});

test("a declared network that cannot be kept does not hold up others", async () => {
  const networks = await bench.networks();
  mkdirSync(join(bench.root, "secrets/a.json"));
  await networks.restore([declared("a", "10.1.0.1/16"), declared("b", "10.2.0.1/16")]);
  assert.deepEqual(networks.names(), ["b"]);
  assert.ok(bench.machine.links.has("vpn-b") && !bench.machine.links.has("vpn-a"));
  rmSync(join(bench.root, "secrets/a.json"), { recursive: true });
  const touched = await networks.declared.apply(
    [declared("a", "10.1.0.1/16"), declared("b", "10.2.0.1/16")],
    true,
  );
  assert.deepEqual(touched, ["a"]);
  assert.ok(bench.machine.links.has("vpn-a"));
});

test("a change that cannot be kept leaves the network as it was", async () => {
  const networks = await bench.networks();
  await networks.restore([declared("a", "10.1.0.1/16")]);
  rmSync(join(bench.root, "networks/a.json"));
  mkdirSync(join(bench.root, "networks/a.json"));
  assert.deepEqual(await networks.declared.apply([declared("a", "10.9.0.1/16")], true), []);
  assert.deepEqual(bench.machine.links.get("vpn-a")?.addresses, ["10.1.0.1/16"]);
  assert.equal(networks.get("a").config.asked.virtualIp, "10.1.0.1/16");
  assert.equal(networks.get("a").life.state, "running");
});

test("down holds over a reload; up in the config counts when it changes, and at a start", async () => {
  const networks = await bench.networks();
  await networks.restore([declared("a", "10.1.0.1/16")]);
  await networks.down("a", false, false);
  assert.deepEqual(await networks.declared.apply([declared("a", "10.1.0.1/16")], true), []);
  assert.equal(networks.get("a").life.state, "down");
  await networks.declared.apply([declared("a", "10.1.0.1/16", false)], true);
  await networks.declared.apply([declared("a", "10.1.0.1/16", true)], true);
  assert.equal(networks.get("a").life.state, "running");
  await networks.down("a", false, false);
  await networks.stop();
  bench.reboot();
  const again = await bench.networks();
  await again.restore([declared("a", "10.1.0.1/16")]);
  assert.equal(again.get("a").life.state, "running");
});

test("the config takes over while a join by hand of that label fails", async () => {
  bench.whenMade = () => {};
  const networks = await bench.networks();
  const joining = networks.join(request({ network: "a" }, { timeoutMs: 30 }), never);
  const applied = networks.declared.apply([declared("a", "10.1.0.1/16")], true);
  await assert.rejects(joining, fails("no-reply"));
  assert.deepEqual(await applied, ["a"]);
  assert.equal(networks.get("a").config.declared, true);
});

test("a declared network can only be left in the config, which the error names", async () => {
  const networks = await bench.networks();
  await networks.restore([declared("a", "10.1.0.1/16")]);
  await assert.rejects(networks.leave("a", false), fails("failed", /c\.toml:7/));
  await assert.rejects(
    networks.join(request({ network: "a", virtualIp: "10.3.0.1/16" }), never),
    fails("conflict", /c\.toml:7/),
  );
});
