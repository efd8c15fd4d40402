import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { VpnError } from "../../common/errors.js";
import { failed, fails, networksBench, never, request } from "./networks-bench.js";

const bench = networksBench();

test("a join brings up the device, is confirmed, and is kept", async () => {
  const networks = await bench.networks();
  const { network, alreadyJoined } = await networks.join(request(), never);
  assert.equal(alreadyJoined, false);
  assert.equal(network.name, "default");
  assert.deepEqual(bench.machine.links.get("vpn-default")?.addresses, ["10.0.0.10/16"]);
  assert.equal(bench.machine.links.get("vpn-default")?.mtu, 1400);
  assert.deepEqual(bench.stored(), ["default.json"]);
  assert.ok(network.config.port > 0);
});

test("the same join again says so, another one is a conflict", async () => {
  const networks = await bench.networks();
  await networks.join(request(), never);
  assert.equal((await networks.join(request(), never)).alreadyJoined, true);
  await assert.rejects(networks.join(request({ mtu: 1300 }), never), fails("conflict", /--mtu/));
  await assert.rejects(
    networks.join(request({}, { psk: Buffer.from("6".repeat(64)) }), never),
    fails("conflict", /PSK/),
  );
  assert.equal(bench.carriers.length, 1);
});

test("a silent server ends a join with nothing left", async () => {
  bench.whenMade = () => {};
  const networks = await bench.networks();
  await assert.rejects(networks.join(request({}, { timeoutMs: 30 }), never), fails("no-reply", /h:1/));
  bench.assertNothingLeft();
  assert.deepEqual(networks.names(), []);
});

test("a conflict ends a join with nothing left", async () => {
  const conflict = new VpnError("conflict", 'virtual IP is held by "beta"', { hint: "another --vip" });
  bench.whenMade = (carrier) => carrier.fail(conflict);
  const networks = await bench.networks();
  await assert.rejects(networks.join(request(), never), fails("conflict", /beta/));
  bench.assertNothingLeft();
});

test("a caller that goes away joins nothing", async () => {
  const away = new AbortController();
  bench.whenMade = () => away.abort(new VpnError("cancelled", "gone", { hint: "-" }));
  const networks = await bench.networks();
  await assert.rejects(networks.join(request(), away.signal), fails("cancelled"));
  bench.assertNothingLeft();
});

test("a carrier that does not start leaves nothing", async () => {
  bench.whenMade = (carrier) => {
    carrier.failStart = new VpnError("failed", "no engine", { hint: "-" });
  };
  const networks = await bench.networks();
  await assert.rejects(networks.join(request(), never), fails("failed", /no engine/));
  bench.assertNothingLeft();
  assert.equal(bench.machine.links.size, 0);
  assert.equal(bench.sockets, 0);
});

test("a disk that takes nothing fails the join with nothing left", async () => {
  const networks = await bench.networks();
  mkdirSync(join(bench.root, "networks/default.json"));
  await assert.rejects(
    networks.join(request(), never),
    (error) => error instanceof VpnError && /cannot write/.test(error.message),
  );
  rmSync(join(bench.root, "networks/default.json"), { recursive: true });
  bench.assertNothingLeft();
  assert.deepEqual(networks.names(), []);
});

test("a dry run prints the plan and changes nothing", async () => {
  const networks = await bench.networks();
  const { plan } = await networks.join(request({}, { dryRun: true }), never);
  assert.deepEqual(plan, [
    "create device vpn-default (tun)",
    "set vpn-default up, mtu 1400",
    "add address 10.0.0.10/16 to vpn-default",
  ]);
  bench.assertNothingLeft();
  assert.equal(bench.machine.links.size, 0);
});

test("prefixes of other networks and of the machine are refused", async () => {
  bench.machine.links.set("eth0", {
    name: "eth0",
    ifindex: 2,
    mtu: 1500,
    up: true,
    type: "veth",
    addresses: ["192.168.1.5/24"],
  });
  const networks = await bench.networks();
  await networks.join(request(), never);
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "10.0.9.1/24" }), never),
    fails("conflict", /network default/),
  );
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "192.168.0.1/16" }), never),
    fails("conflict", /eth0/),
  );
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "10.5.0.1/24", device: "vpn-default" }), never),
    fails("conflict"),
  );
  assert.deepEqual(bench.stored(), ["default.json"]);
});

test("two joins of overlapping prefixes at once: one wins", async () => {
  const networks = await bench.networks();
  const results = await Promise.allSettled([
    networks.join(request({ network: "a" }), never),
    networks.join(request({ network: "b" }), never),
  ]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["fulfilled", "rejected"],
  );
});

test("the same join twice at once: joined once", async () => {
  const networks = await bench.networks();
  const results = await Promise.all([networks.join(request(), never), networks.join(request(), never)]);
  assert.deepEqual(results.map((result) => result.alreadyJoined).sort(), [false, true]);
  assert.equal(bench.carriers.length, 1);
});

test("a port that is taken: a chosen one moves, an asked one is refused", async () => {
  bench.taken = [{ port: 40_001, family: 6 }];
  const networks = await bench.networks();
  const { network } = await networks.join(request(), never);
  assert.notEqual(network.config.port, 40_001);
  bench.taken = [{ port: 5000, family: 4 }];
  await assert.rejects(
    networks.join(request({ network: "b", virtualIp: "10.9.0.1/24", listenPort: 5000 }), never),
    fails("conflict", /5000/),
  );
});

test("without waiting a join is kept before any server answered", async () => {
  bench.whenMade = () => {};
  const networks = await bench.networks();
  await networks.join(request({}, { noWait: true }), never);
  assert.deepEqual(bench.stored(), ["default.json"]);
  bench.carriers[0]?.fail(new VpnError("conflict", "held by another"));
  await failed(networks);
  const { life } = networks.get("");
  assert.equal(life.state === "error" && life.reason.code, "conflict");
});

test("expected peers that do not come: joined all the same, exit 8", async () => {
  const networks = await bench.networks();
  await assert.rejects(
    networks.join(request({}, { expectPeers: 1, timeoutMs: 30 }), never),
    fails("no-reply", /0 of 1/),
  );
  assert.deepEqual(bench.stored(), ["default.json"]);
});

test("stop ends a join that is under way", async () => {
  const networks = await bench.networks();
  let stopped = Promise.resolve();
  bench.whenMade = () => {
    stopped = networks.stop();
  };
  await assert.rejects(networks.join(request(), never), fails("cancelled", /stopping/));
  await stopped;
  bench.assertNothingLeft();
});
