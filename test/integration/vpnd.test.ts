import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { VpnError } from "../../src/common/errors.js";
import { Health, HealthCheckResponse_ServingStatus } from "../../src/common/gen/grpc/health/v1/health_pb.js";
import { DaemonService } from "../../src/common/gen/vpnd/v1/daemon_pb.js";
import { KeyService } from "../../src/common/gen/vpnd/v1/key_pb.js";
import { NetworkService } from "../../src/common/gen/vpnd/v1/network_pb.js";
import { PeerService } from "../../src/common/gen/vpnd/v1/peer_pb.js";
import { StatsService } from "../../src/common/gen/vpnd/v1/stats_pb.js";
import type { Connection } from "../../src/common/grpc/client.js";
import { Bench, type Running, until } from "./support/daemon.js";

const skip = process.getuid?.() === 0 ? false : "needs root for network namespaces";
const psk = Buffer.from("5a".repeat(32));
let bench: Bench;
let connection: Connection | undefined;

beforeEach(() => {
  if (!skip) bench = new Bench();
});
afterEach(async () => {
  connection?.close();
  connection = undefined;
  if (!skip) await bench.close();
});
after(() => {
  if (!skip) assert.ok(!execFileSync("ip", ["netns"], { encoding: "utf8" }).includes(`vd-${process.pid}-`));
});

function api() {
  connection ??= bench.connect();
  return {
    networks: connection.service(NetworkService),
    peers: connection.service(PeerService),
    stats: connection.service(StatsService),
    keys: connection.service(KeyService),
    daemon: connection.service(DaemonService),
    health: connection.service(Health),
  };
}
interface JoinParts {
  network?: string;
  virtualIp?: string;
  iex?: string[];
  device?: string;
  mtu?: number;
  noWait?: boolean;
  timeoutSeconds?: number;
  dryRun?: boolean;
  listenPort?: number;
  psk?: Uint8Array;
  name?: string;
}
const join_ = (parts: JoinParts = {}) => {
  const {
    virtualIp = "10.7.0.10/16",
    iex = ["127.0.0.1:9944"],
    listenPort = 0,
    psk: key = psk,
    ...rest
  } = parts;
  const mesh = { virtualIp, iex, psk: key, listenPort, badger: false };
  return api().networks.join({ timeoutSeconds: 10, ...rest, carrier: { case: "mesh", value: mesh } });
};
const fails =
  (code: string, message = /./) =>
  (error: unknown) =>
    error instanceof VpnError &&
    error.code === code &&
    message.test(error.message) &&
    (error.hint ?? "") !== "";
const reconnect = (): void => {
  connection?.close();
  connection = undefined;
};
async function stopped(vpnd: Running): Promise<void> {
  reconnect();
  assert.equal(await vpnd.stop(), 0);
}

test("join, look, leave: and nothing is left", { skip }, async () => {
  const before = bench.snapshot();
  const vpnd = await bench.readyVpnd();
  await bench.server(9944);
  const { network, notes } = await join_({ name: "alpha" });
  assert.equal(network?.name, "default");
  assert.equal(network?.state, "up");
  assert.equal(network?.device, "vpn-default");
  assert.deepEqual(notes, []);
  const link = bench.ip("addr", "show", "dev", "vpn-default");
  assert.match(link, /10\.7\.0\.10\/16/);
  assert.match(link, /mtu 1400/);
  assert.doesNotMatch(link, /fe80/);
  assert.match(bench.ip("route"), /10\.7\.0\.0\/16 dev vpn-default/);

  const details = await api().networks.getNetwork({});
  assert.match(details.details?.nodeKey ?? "", /^[0-9a-f]{64}$/);
  assert.ok((details.details?.listenPort ?? 0) > 0);
  assert.equal(details.details?.servers[0]?.state, "up");
  const status = await api().daemon.getStatus({});
  assert.equal(status.networks.length, 1);
  const peers = await api().peers.listPeers({});
  assert.equal(peers.networks[0]?.self?.name, "alpha");
  const keys = await api().keys.getPskStatus({});
  assert.equal(keys.networks[0]?.epochs[0]?.fingerprint, network?.pskFingerprint);
  assert.equal((await api().health.check({})).status, HealthCheckResponse_ServingStatus.SERVING);

  assert.equal((await join_({ name: "alpha" })).alreadyJoined, true);
  await assert.rejects(join_({ mtu: 1300 }), fails("conflict", /--mtu/));
  const plan = (await api().networks.leave({ dryRun: true })).plan;
  assert.ok(plan.includes("remove device vpn-default"), plan.join());
  assert.equal((await api().networks.leave({})).network, "default");
  assert.equal(bench.snapshot(), before);
  assert.equal(bench.journal(), undefined);
  for (const folder of ["networks", "secrets", "peers"])
    assert.deepEqual(readdirSync(join(bench.stateDir, folder)), []);
  await assert.rejects(api().peers.listPeers({}), fails("not-configured"));
  await stopped(vpnd);
  assert.ok(!existsSync(bench.socket));
  assert.ok(!vpnd.output.includes("5a5a5a"), "a key is in the log");
});

test("SIGTERM leaves nothing; a restart brings networks back by itself", { skip }, async () => {
  const before = bench.snapshot();
  const first = await bench.readyVpnd();
  await bench.server(9944);
  await join_();
  const port = (await api().networks.getNetwork({})).details?.listenPort;
  await stopped(first);
  assert.equal(bench.snapshot(), before);
  const second = await bench.readyVpnd();
  await until(async () => (await api().networks.listNetworks({})).networks[0]?.state === "up", "rejoin");
  assert.equal((await api().networks.getNetwork({})).details?.listenPort, port);
  await api().networks.down({});
  assert.equal(bench.snapshot(), before);
  await stopped(second);
  const third = await bench.readyVpnd();
  assert.equal((await api().networks.listNetworks({})).networks[0]?.state, "down");
  assert.equal((await api().networks.up({})).alreadyUp, false);
  await stopped(third);
});

test("an existing TUN device is used, and given back as it was; --cleanup does that after kill -9", {
  skip,
}, async () => {
  bench.ip("tuntap", "add", "dev", "tun7", "mode", "tun");
  bench.ip("link", "set", "tun7", "mtu", "1300");
  bench.ip("addr", "add", "198.51.100.1/24", "dev", "tun7");
  const before = bench.snapshot();
  const offloads = (): string => bench.inside("ethtool", "-k", "tun7").replaceAll(" [requested on]", "");
  const plain = offloads();
  const first = await bench.readyVpnd();
  await join_({ device: "tun7", noWait: true });
  assert.match(offloads(), /tx-tcp-segmentation: on/);
  assert.match(bench.ip("addr", "show", "dev", "tun7"), /mtu 1400[\s\S]*10\.7\.0\.10\/16/);
  const refused = bench.vpnd("--cleanup");
  assert.equal(await refused.ended(), 1);
  assert.match(refused.errors, /another vpnd uses the state folder/);
  await stopped(first);
  assert.equal(bench.snapshot(), before);
  assert.equal(offloads(), plain);

  const second = await bench.readyVpnd();
  assert.notEqual(bench.snapshot(), before);
  reconnect();
  await second.stop("SIGKILL");
  assert.notEqual(bench.snapshot(), before);
  const [machine, files] = [bench.snapshot(), filesIn(bench.stateDir)];
  const dry = bench.vpnd("--cleanup", "--dry-run");
  assert.equal(await dry.ended(), 0, dry.errors);
  assert.match(dry.output, /restore tun7: down, mtu 1300/);
  assert.equal(bench.snapshot(), machine);
  assert.deepEqual(filesIn(bench.stateDir), files);
  assert.ok(existsSync(bench.socket));
  const cleanup = bench.vpnd("--cleanup");
  assert.equal(await cleanup.ended(), 0, cleanup.errors);
  assert.equal(cleanup.output, dry.output);
  assert.match(cleanup.output, /restore tun7: down, mtu 1300/);
  assert.equal(offloads(), plain);
  assert.ok(!existsSync(bench.socket), "the socket is left");
  assert.equal(bench.snapshot(), before);
  const again = bench.vpnd("--cleanup");
  assert.equal(await again.ended(), 0);
  assert.equal(again.output, "");

  const third = await bench.readyVpnd();
  await third.stop("SIGKILL");
  const fourth = await bench.readyVpnd();
  assert.match(fourth.output, /took back what a killed vpnd left/);
  await api().networks.leave({});
  assert.equal(bench.snapshot(), before);
  await stopped(fourth);
});

/** Names and contents of all files below a folder. */
function filesIn(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry): [string, string] => {
      const path = join(entry.parentPath, entry.name);
      return [path, readFileSync(path, "utf8")];
    })
    .sort();
}

test("a silent server: exit 8, and nothing is left", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  const before = bench.snapshot();
  await assert.rejects(join_({ timeoutSeconds: 1 }), fails("no-reply", /127\.0\.0\.1:9944/));
  assert.equal(bench.snapshot(), before);
  assert.deepEqual(readdirSync(join(bench.stateDir, "networks")), []);
  const { network } = await join_({ noWait: true });
  assert.equal(network?.state, "connecting");
  await bench.server(9944);
  await until(async () => (await api().networks.listNetworks({})).networks[0]?.state === "up", "late server");
  await stopped(vpnd);
});

test("bad input is refused with a hint and changes nothing", { skip }, async () => {
  bench.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1");
  bench.ip("addr", "add", "172.30.0.1/24", "dev", "veth0");
  bench.ip("link", "set", "veth0", "up");
  const before = bench.snapshot();
  const vpnd = await bench.readyVpnd();
  const table: [JoinParts, string][] = [
    [{ virtualIp: "10.7.0.10" }, "usage"],
    [{ virtualIp: "" }, "usage"],
    [{ virtualIp: "10.7.0.0/16" }, "usage"],
    [{ network: "Bad Label" }, "usage"],
    [{ iex: [] }, "usage"],
    [{ iex: ["host"] }, "usage"],
    [{ mtu: 70_000 }, "usage"],
    [{ device: "much-too-long-a-name" }, "usage"],
    [{ name: "a b" }, "usage"],
    [{ psk: Buffer.from("weak") }, "usage"],
    [{ psk: Buffer.alloc(0) }, "usage"],
    [{ listenPort: 70_000 }, "usage"],
    [{ virtualIp: "172.30.0.9/16" }, "conflict"],
    [{ device: "veth0" }, "conflict"],
    [{ device: "lo" }, "conflict"],
  ];
  for (const [parts, code] of table) {
    await assert.rejects(join_({ noWait: true, ...parts }), fails(code), JSON.stringify(parts));
  }
  assert.deepEqual((await join_({ dryRun: true })).plan, [
    "create device vpn-default (tun)",
    "set vpn-default up, mtu 1400",
    "add address 10.7.0.10/16 to vpn-default",
  ]);
  for (const call of [
    api().networks.leave({}),
    api().networks.up({ network: "x" }),
    api().networks.getNetwork({}),
    api().peers.getPeer({ peer: "x" }),
    api().stats.getStats({}),
    api().keys.getPskStatus({}),
  ]) {
    await assert.rejects(call, fails("not-configured"));
  }
  assert.equal(bench.snapshot(), before);
  await stopped(vpnd);
});

test("two networks: commands need a name, listings show both", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  await join_({ network: "a", noWait: true });
  await assert.rejects(join_({ network: "b", noWait: true }), fails("conflict", /network a/));
  await join_({ network: "b", virtualIp: "fd00:7::1/64", noWait: true });
  assert.match(bench.ip("-6", "addr", "show", "dev", "vpn-b"), /fd00:7::1\/64/);
  await assert.rejects(api().networks.leave({}), fails("usage", /several/));
  await assert.rejects(api().networks.leave({ network: "c" }), fails("not-found"));
  assert.deepEqual(
    (await api().stats.getStats({})).networks.map((one) => one.network),
    ["a", "b"],
  );
  assert.deepEqual((await api().networks.down({ all: true })).networks, ["a", "b"]);
  assert.doesNotMatch(bench.ip("link"), /vpn-/);
  await stopped(vpnd);
});

test("watches tell of changes, and end when vpnd stops", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  await join_({ noWait: true });
  const rates: boolean[] = [];
  for await (const { networks } of api().stats.watchStats({ intervalSeconds: 0.1 })) {
    rates.push(networks[0]?.rates !== undefined);
    if (rates.length === 3) break;
  }
  assert.deepEqual(rates, [false, true, true]);
  const states: string[] = [];
  const watch = (async () => {
    for await (const { networks } of api().peers.watchPeers({}))
      states.push(networks[0]?.self?.state ?? "left");
  })();
  await until(() => states.length > 0, "first message");
  await api().networks.down({});
  await until(() => states.at(-1) === "down", "the change");
  const ended = watch.catch(() => {});
  vpnd.child.kill("SIGTERM");
  await ended;
  assert.equal(await vpnd.ended(), 0);
});

test("a damaged file spoils only its network, and is kept", { skip }, async () => {
  const first = await bench.readyVpnd();
  await join_({ network: "a", noWait: true });
  await join_({ network: "b", virtualIp: "10.9.0.1/24", noWait: true });
  await stopped(first);
  writeFileSync(join(bench.stateDir, "networks/a.json"), "{half");
  const second = await bench.readyVpnd();
  const { networks } = await api().networks.listNetworks({});
  const a = networks.find((one) => one.name === "a");
  assert.equal(a?.state, "error");
  assert.match(a?.reason?.message ?? "", /networks\/a\.json/);
  assert.equal(networks.find((one) => one.name === "b")?.state, "connecting");
  await assert.rejects(api().networks.getNetwork({ network: "a" }), fails("failed", /a\.json/));
  await api().networks.leave({ network: "a" });
  assert.ok(readdirSync(join(bench.stateDir, "networks")).some((file) => file.startsWith("a.json.damaged-")));
  await stopped(second);
});

test("a start is refused clearly", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  const sameSocket = bench.start("src/daemon/app/main.ts", [
    "--state-dir",
    join(bench.folder, "other"),
    "--socket",
    bench.socket,
  ]);
  assert.equal(await sameSocket.ended(), 1);
  assert.match(sameSocket.errors, /running already/);
  assert.ok(!existsSync(join(bench.folder, "other")), "a refused start changed something");
  const sameState = bench.start("src/daemon/app/main.ts", [
    "--state-dir",
    bench.stateDir,
    "--socket",
    join(bench.folder, "o.sock"),
  ]);
  assert.equal(await sameState.ended(), 1);
  assert.match(sameState.errors, /another vpnd uses/);
  assert.equal(statSync(bench.socket).mode & 0o777, existsGroup() ? 0o660 : 0o600);
  reconnect();
  await vpnd.stop("SIGKILL");
  assert.ok(existsSync(bench.socket), "a killed vpnd leaves its socket");
  await stopped(await bench.readyVpnd());

  const noGroup = bench.vpnd("--socket-group", "no-such-group");
  assert.equal(await noGroup.ended(), 1);
  assert.match(noGroup.errors, /no group/);
  writeFileSync(bench.socket, "");
  const noSocket = bench.vpnd();
  assert.equal(await noSocket.ended(), 1);
  assert.match(noSocket.errors, /no socket/);
  const open = join(bench.folder, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const wide = bench.start("src/daemon/app/main.ts", [
    "--state-dir",
    open,
    "--socket",
    join(bench.folder, "o.sock"),
  ]);
  assert.equal(await wide.ended(), 1);
  assert.match(wide.errors, /others may write/);
});

test("without privilege vpnd says so and ends with 4", { skip }, async () => {
  const main = new URL("../../src/daemon/app/main.ts", import.meta.url).pathname;
  const run = () =>
    execFileSync(
      "setpriv",
      ["--bounding-set=-net_admin", "--inh-caps=-all", process.execPath, "--import", "tsx", main],
      {
        stdio: "pipe",
        encoding: "utf8",
      },
    );
  assert.throws(run, (error) => {
    const { status, stderr } = error as { status: number; stderr: string };
    return status === 4 && /needs root/.test(stderr) && stderr.trim().split("\n").length === 2;
  });
});

test("a socket that somebody else holds open is left alone", { skip }, async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(bench.socket, resolve));
  const vpnd = bench.vpnd();
  assert.equal(await vpnd.ended(), 1);
  assert.ok(existsSync(bench.socket));
  await new Promise((resolve) => server.close(resolve));
});

test("garbage on the socket, too large messages and many connections do no harm", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  const garbage = [
    "",
    "GET / HTTP/1.1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\xff\xff",
    "\0".repeat(100_000),
  ];
  for (const text of garbage) {
    const socket = connect(bench.socket);
    socket.on("error", () => {}).resume();
    socket.end(Buffer.from(text, "latin1"));
    await once(socket, "close");
  }
  const idle = Array.from({ length: 100 }, () => connect(bench.socket).on("error", () => {}));
  const huge = api().networks.up({ network: "x".repeat(2 << 20) });
  await assert.rejects(huge, VpnError);
  await assert.rejects(
    api().networks.getNetwork({ network: "\n\u001b[2Jx" }),
    fails("not-configured", /^[ -~]*$/),
  );
  assert.equal((await api().daemon.getStatus({})).networks.length, 0);
  for (const socket of idle) socket.destroy();
  await stopped(vpnd);
});

test("without IPv6 a network with IPv6 fails with a hint, one with IPv4 works", { skip }, async () => {
  execFileSync("ip", [
    "netns",
    "exec",
    bench.netns,
    "sh",
    "-c",
    "echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6",
  ]);
  const vpnd = await bench.readyVpnd();
  const before = bench.snapshot();
  await assert.rejects(
    join_({ virtualIp: "fd00:7::1/64", noWait: true }),
    (error) => error instanceof VpnError && /IPv6/.test(error.hint ?? ""),
  );
  assert.equal(bench.snapshot(), before);
  await join_({ noWait: true });
  await stopped(vpnd);
});

const existsGroup = (): boolean => /^vpnd:/m.test(readFileSync("/etc/group", "utf8"));
