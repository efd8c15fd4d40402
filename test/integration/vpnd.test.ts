import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HealthCheckResponse_ServingStatus } from "../../src/common/gen/grpc/health/v1/health_pb.js";
import { apiScene, fails } from "./support/api-scene.js";
import { skip, until } from "./support/daemon.js";

const scene = apiScene();

test("join, look, leave: and nothing is left", { skip }, async () => {
  const before = scene.bench.snapshot();
  const vpnd = await scene.bench.readyVpnd();
  await scene.bench.server(9944);
  const { network, notes } = await scene.join({ name: "alpha" });
  assert.equal(network?.name, "default");
  assert.equal(network?.state, "up");
  assert.equal(network?.device, "vpn-default");
  assert.deepEqual(notes, []);
  const link = scene.bench.ip("addr", "show", "dev", "vpn-default");
  assert.match(link, /10\.7\.0\.10\/16/);
  assert.match(link, /mtu 1400/);
  assert.doesNotMatch(link, /fe80/);
  assert.match(scene.bench.ip("route"), /10\.7\.0\.0\/16 dev vpn-default/);

  const details = await scene.api().networks.getNetwork({});
  assert.match(details.details?.nodeKey ?? "", /^[0-9a-f]{64}$/);
  assert.ok((details.details?.listenPort ?? 0) > 0);
  assert.equal(details.details?.servers[0]?.state, "up");
  const status = await scene.api().daemon.getStatus({});
  assert.equal(status.networks.length, 1);
  const peers = await scene.api().peers.listPeers({});
  assert.equal(peers.networks[0]?.self?.name, "alpha");
  const keys = await scene.api().keys.getPskStatus({});
  assert.equal(keys.networks[0]?.epochs[0]?.fingerprint, network?.pskFingerprint);
  assert.equal((await scene.api().health.check({})).status, HealthCheckResponse_ServingStatus.SERVING);

  assert.equal((await scene.join({ name: "alpha" })).alreadyJoined, true);
  await assert.rejects(scene.join({ mtu: 1300 }), fails("conflict", /--mtu/));
  const plan = (await scene.api().networks.leave({ dryRun: true })).plan;
  assert.ok(plan.includes("remove device vpn-default"), plan.join());
  assert.equal((await scene.api().networks.leave({})).network, "default");
  assert.equal(scene.bench.snapshot(), before);
  assert.equal(scene.bench.journal(), undefined);
  for (const folder of ["networks", "secrets", "peers"])
    assert.deepEqual(readdirSync(join(scene.bench.stateDir, folder)), []);
  await assert.rejects(scene.api().peers.listPeers({}), fails("not-configured"));
  await scene.stop(vpnd);
  assert.ok(!existsSync(scene.bench.socket));
  assert.ok(!vpnd.output.includes("5a5a5a"), "a key is in the log");
});

test("SIGTERM leaves nothing; a restart brings networks back by itself", { skip }, async () => {
  const before = scene.bench.snapshot();
  const first = await scene.bench.readyVpnd();
  await scene.bench.server(9944);
  await scene.join();
  const port = (await scene.api().networks.getNetwork({})).details?.listenPort;
  await scene.stop(first);
  assert.equal(scene.bench.snapshot(), before);
  const second = await scene.bench.readyVpnd();
  await until(
    async () => (await scene.api().networks.listNetworks({})).networks[0]?.state === "up",
    "rejoin",
  );
  assert.equal((await scene.api().networks.getNetwork({})).details?.listenPort, port);
  await scene.api().networks.down({});
  assert.equal(scene.bench.snapshot(), before);
  await scene.stop(second);
  const third = await scene.bench.readyVpnd();
  assert.equal((await scene.api().networks.listNetworks({})).networks[0]?.state, "down");
  assert.equal((await scene.api().networks.up({})).alreadyUp, false);
  await scene.stop(third);
});

test("a silent server: exit 8, and nothing is left", { skip }, async () => {
  const vpnd = await scene.bench.readyVpnd();
  const before = scene.bench.snapshot();
  await assert.rejects(scene.join({ timeoutSeconds: 1 }), fails("no-reply", /127\.0\.0\.1:9944/));
  assert.equal(scene.bench.snapshot(), before);
  assert.deepEqual(readdirSync(join(scene.bench.stateDir, "networks")), []);
  const { network } = await scene.join({ noWait: true });
  assert.equal(network?.state, "connecting");
  await scene.bench.server(9944);
  await until(
    async () => (await scene.api().networks.listNetworks({})).networks[0]?.state === "up",
    "late server",
  );
  await scene.stop(vpnd);
});

test("two networks: commands need a name, listings show both", { skip }, async () => {
  const vpnd = await scene.bench.readyVpnd();
  await scene.join({ network: "a", noWait: true });
  await assert.rejects(scene.join({ network: "b", noWait: true }), fails("conflict", /network a/));
  await scene.join({ network: "b", virtualIp: "fd00:7::1/64", noWait: true });
  assert.match(scene.bench.ip("-6", "addr", "show", "dev", "vpn-b"), /fd00:7::1\/64/);
  await assert.rejects(scene.api().networks.leave({}), fails("usage", /several/));
  await assert.rejects(scene.api().networks.leave({ network: "c" }), fails("not-found"));
  assert.deepEqual(
    (await scene.api().stats.getStats({})).networks.map((one) => one.network),
    ["a", "b"],
  );
  assert.deepEqual((await scene.api().networks.down({ all: true })).networks, ["a", "b"]);
  assert.doesNotMatch(scene.bench.ip("link"), /vpn-/);
  await scene.stop(vpnd);
});

test("watches tell of changes, and end when vpnd stops", { skip }, async () => {
  const vpnd = await scene.bench.readyVpnd();
  await scene.join({ noWait: true });
  const rates: boolean[] = [];
  for await (const { networks } of scene.api().stats.watchStats({ intervalSeconds: 0.1 })) {
    rates.push(networks[0]?.rates !== undefined);
    if (rates.length === 3) break;
  }
  assert.deepEqual(rates, [false, true, true]);
  const states: string[] = [];
  const watch = (async () => {
    for await (const { networks } of scene.api().peers.watchPeers({}))
      states.push(networks[0]?.self?.state ?? "left");
  })();
  await until(() => states.length > 0, "first message");
  await scene.api().networks.down({});
  await until(() => states.at(-1) === "down", "the change");
  const ended = watch.catch(() => {});
  vpnd.child.kill("SIGTERM");
  await ended;
  assert.equal(await vpnd.ended(), 0);
});

test("a damaged file spoils only its network, and is kept", { skip }, async () => {
  const first = await scene.bench.readyVpnd();
  await scene.join({ network: "a", noWait: true });
  await scene.join({ network: "b", virtualIp: "10.9.0.1/24", noWait: true });
  await scene.stop(first);
  writeFileSync(join(scene.bench.stateDir, "networks/a.json"), "{half");
  const second = await scene.bench.readyVpnd();
  const { networks } = await scene.api().networks.listNetworks({});
  const a = networks.find((one) => one.name === "a");
  assert.equal(a?.state, "error");
  assert.match(a?.reason?.message ?? "", /networks\/a\.json/);
  assert.equal(networks.find((one) => one.name === "b")?.state, "connecting");
  await assert.rejects(scene.api().networks.getNetwork({ network: "a" }), fails("failed", /a\.json/));
  await scene.api().networks.leave({ network: "a" });
  assert.ok(
    readdirSync(join(scene.bench.stateDir, "networks")).some((file) => file.startsWith("a.json.damaged-")),
  );
  await scene.stop(second);
});
