import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { VpnError } from "../../src/common/errors.js";
import { GatewayService } from "../../src/common/gen/vpnd/v1/gateway_pb.js";
import { KeyService } from "../../src/common/gen/vpnd/v1/key_pb.js";
import { NetworkService } from "../../src/common/gen/vpnd/v1/network_pb.js";
import type { Connection } from "../../src/common/grpc/client.js";
import { Bench, type Running, skip, until } from "./support/daemon.js";
import { vpnctlAs } from "./support/people.js";

let bench: Bench;
let connection: Connection | undefined;

beforeEach(() => {
  if (skip) return;
  bench = new Bench();
  writeKey("office.psk", "5a".repeat(32));
});
afterEach(async () => {
  connection?.close();
  connection = undefined;
  if (!skip) await bench.close();
});

const at = (name: string): string => join(bench.folder, name);
const config = (): string => at("vpnd.toml");

function write(name: string, text: string, mode = 0o644): void {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
}
const writeKey = (name: string, text: string): void => write(name, text, 0o600);

const section = (name: string, vip: string, more = ""): string =>
  `[network.${name}]\niex = ["127.0.0.1:9944"]\nvip = "${vip}"\npsk_file = "${at("office.psk")}"\n${more}`;

function api() {
  connection ??= bench.connect();
  return connection.service(NetworkService);
}
const names = async (): Promise<string[]> => (await api().listNetworks({})).networks.map(({ name }) => name);
const nodeKey = async (network: string): Promise<string> => {
  const { details } = await api().getNetwork({ network });
  return details?.nodeKey ?? "";
};
const count = (running: Running, pattern: RegExp): number =>
  [...running.output.matchAll(new RegExp(pattern, "g"))].length;

/** SIGHUP, and waits for the log to tell what came of it. */
async function reload(vpnd: Running, said: RegExp): Promise<void> {
  const before = count(vpnd, said);
  vpnd.child.kill("SIGHUP");
  await until(() => count(vpnd, said) > before, `${said}`);
}
const reloaded = /"msg":"config reloaded"/;
const start = (): Promise<Running> => bench.readyVpnd("--config", config());
async function stop(vpnd: Running): Promise<void> {
  connection?.close();
  connection = undefined;
  assert.equal(await vpnd.stop(), 0);
}

test("a declared network is joined by itself, and is the config's", { skip }, async () => {
  const before = bench.snapshot();
  write("vpnd.toml", `\n${section("office", "10.7.0.10/16")}`);
  const vpnd = await start();
  assert.deepEqual(await names(), ["office"]);
  assert.match(bench.ip("addr", "show", "dev", "vpn-office"), /10\.7\.0\.10\/16/);
  await assert.rejects(
    api().leave({ network: "office" }),
    (error) =>
      error instanceof VpnError &&
      error.message.includes(`${config()}:2`) &&
      error.hint?.includes("reload") === true,
  );
  const where = `${config()}:2`;
  assert.equal((await api().getNetwork({ network: "office" })).network?.declaredIn, where);
  assert.ok((await vpnctlAs("root", bench, ["networks"])).out.includes(where));
  const shown = await vpnctlAs("root", bench, ["network", "office"]);
  assert.match(shown.out, /declared in:? +\/.*:2$/m);
  const { out } = await vpnctlAs("root", bench, ["networks", "--json"]);
  assert.equal(JSON.parse(out).networks[0].declaredIn, where);
  await api().down({ network: "office" });
  assert.equal((await api().getNetwork({ network: "office" })).network?.state, "down");
  const key = await nodeKey("office");
  await stop(vpnd);
  assert.equal(bench.snapshot(), before);

  const again = await start();
  assert.notEqual((await api().getNetwork({ network: "office" })).network?.state, "down");
  assert.equal(await nodeKey("office"), key);
  assert.ok(!again.output.includes("5a5a5a"), "a key is in the log");
  await stop(again);
});

test("a gateway is declared by its section, which has the say", { skip }, async () => {
  const before = bench.snapshot();
  const gateway = (more: string): void =>
    write("vpnd.toml", `[gateway]\n${more === "" ? "" : `listen = "0.0.0.0:8080"\n${more}\n`}`);
  gateway("");
  const vpnd = await start();
  connection ??= bench.connect();
  const service = connection.service(GatewayService);
  const shown = async () => (await service.getGateway({})).gateway;
  assert.deepEqual([(await shown())?.state, (await shown())?.declaredIn], ["off", ""]);

  gateway("max_clients = 5");
  await reload(vpnd, reloaded);
  assert.equal((await shown())?.state, "error");
  assert.match((await shown())?.reason?.message ?? "", /without users/);
  await service.addGatewayUser({ name: "alice" });
  await until(async () => (await shown())?.state === "up", "it comes up with its first user");
  const where = `${config()}:2`;
  assert.deepEqual([(await shown())?.declaredIn, (await shown())?.maxClients], [where, 5]);
  const people = await vpnctlAs("root", bench, ["gateway", "clients"]);
  assert.match(people.out, new RegExp(`up at 0\\.0\\.0\\.0:8080, 1 user, .*declared in ${where}$`, "m"));

  const other = await vpnctlAs("root", bench, ["gateway", "start", "--path", "/other"]);
  assert.equal(other.code, 1);
  assert.match(other.err, new RegExp(`declared in ${where}, and can only be changed there`));
  const stopped = await vpnctlAs("root", bench, ["gateway", "stop"]);
  assert.match(stopped.out + stopped.err, new RegExp(`declared in ${where}: it comes back`));
  assert.equal((await shown())?.state, "off");
  await reload(vpnd, reloaded);
  assert.equal((await shown())?.state, "off", "a stop by hand holds");
  await service.startGateway({});
  assert.deepEqual([(await shown())?.state, (await shown())?.maxClients], ["up", 5]);

  gateway('path = "/tunnel"');
  await reload(vpnd, reloaded);
  assert.deepEqual([(await shown())?.state, (await shown())?.path], ["up", "/tunnel"]);
  gateway('path = "no path"');
  await reload(vpnd, /"msg":"config not reloaded/);
  assert.equal((await shown())?.path, "/tunnel");
  gateway("");
  await reload(vpnd, reloaded);
  assert.equal((await shown())?.state, "off");
  gateway('path = "/again"');
  await reload(vpnd, reloaded);
  await service.stopGateway({});
  await stop(vpnd);
  assert.equal(bench.snapshot(), before);

  const second = await start();
  connection = bench.connect();
  const now = async () => (await connection?.service(GatewayService).getGateway({}))?.gateway;
  assert.deepEqual([(await now())?.state, (await now())?.path, (await now())?.users], ["up", "/again", 1]);
  await stop(second);
  gateway("");
  const third = await start();
  connection = bench.connect();
  assert.equal((await connection.service(GatewayService).getGateway({})).gateway?.state, "off");
  await stop(third);
});

test("a link over TCP is declared, encrypted and opened again by its section", { skip }, async () => {
  const link = (more: string): string => `[network.branch]\nvip = "10.5.0.1/24"\n${more}\n`;
  write("vpnd.toml", link(`tcp_listen = 55555\ntls_psk_file = "${at("office.psk")}"`));
  const vpnd = await start();
  const shown = async () => (await api().getNetwork({ network: "branch" })).network;
  assert.equal((await shown())?.carrier, "tcp");
  assert.equal((await shown())?.tcp?.encrypted, true);
  const key = await nodeKey("branch");
  const fingerprint = (await shown())?.pskFingerprint;
  await assert.rejects(api().leave({ network: "branch" }), /declared in .*vpnd\.toml:1/);

  writeKey("office.psk", "6b".repeat(32));
  await reload(vpnd, reloaded);
  assert.notEqual((await shown())?.pskFingerprint, fingerprint);
  write("vpnd.toml", link('tcp_listen = "127.0.0.1:55556"\nmtu = 1300'));
  await reload(vpnd, reloaded);
  assert.deepEqual(
    { ...(await shown())?.tcp, pskFingerprint: (await shown())?.pskFingerprint },
    { ...(await shown())?.tcp, address: "127.0.0.1:55556", encrypted: false, pskFingerprint: "" },
  );
  assert.equal(await nodeKey("branch"), key);
  assert.match(bench.ip("addr", "show", "dev", "vpn-branch"), /mtu 1300/);
  assert.doesNotMatch(readFileSync(join(bench.stateDir, "secrets/branch.json"), "utf8"), /formerPsks/);
  write("vpnd.toml", link(`tcp_listen = "127.0.0.1:55556"\ntls_psk_file = "${at("office.psk")}"`));
  await reload(vpnd, reloaded);
  assert.equal((await shown())?.tcp?.encrypted, true);
  assert.doesNotMatch(readFileSync(join(bench.stateDir, "secrets/branch.json"), "utf8"), /formerPsks/);
  await stop(vpnd);
});

test("a gateway is declared, and another token in the file is taken", { skip }, async () => {
  const gateway = (more: string): string =>
    `[network.net]\ngateway = "ws://127.0.0.1:8080/"\ntoken_file = "${at("token")}"\n${more}\n`;
  writeKey("token", "vpngw_first\n");
  write("vpnd.toml", gateway('routes = ["192.0.2.0/24"]'));
  const vpnd = await start();
  const shown = async () => (await api().getNetwork({ network: "net" })).network;
  const secrets = (): string => readFileSync(join(bench.stateDir, "secrets/net.json"), "utf8");
  assert.equal((await shown())?.carrier, "gateway");
  assert.deepEqual((await shown())?.gateway?.routes, ["192.0.2.0/24"]);
  assert.match(secrets(), /vpngw_first/);
  writeKey("token", "vpngw_second\n");
  await reload(vpnd, reloaded);
  assert.match(secrets(), /vpngw_second/);
  write("vpnd.toml", gateway('proxy = "http://127.0.0.1:3128"'));
  await reload(vpnd, reloaded);
  const { proxy, routes } = (await shown())?.gateway ?? {};
  assert.deepEqual({ proxy, routes }, { proxy: "http://127.0.0.1:3128", routes: [] });
  await stop(vpnd);
  for (const [text, said] of [
    ["", /token: no token is in it\n +drop token_file/],
    ["two words", /no token of a gateway/],
  ] as const) {
    writeKey("token", text);
    const checked = bench.vpnd("--config", config(), "--check-config");
    assert.equal(await checked.ended(), 2);
    assert.match(checked.errors, said);
    if (text !== "") assert.ok(!checked.errors.includes(text));
  }
  rmSync(at("token"));
  const absent = bench.vpnd("--config", config());
  assert.equal(await absent.ended(), 2);
  assert.match(absent.errors, /token does not exist\nask who runs it/);
});

test("SIGHUP applies differences only", { skip }, async () => {
  write("vpnd.toml", section("office", "10.7.0.10/16"));
  const vpnd = await start();
  const key = await nodeKey("office");
  const index = bench.ip("-o", "link", "show", "dev", "vpn-office").split(":")[0];

  await reload(vpnd, reloaded);
  mkdirSync(at("vpnd.toml.d"));
  write("vpnd.toml.d/lab.toml", section("lab", "10.8.0.10/16"));
  await reload(vpnd, reloaded);
  assert.deepEqual(await names(), ["lab", "office"]);
  write("vpnd.toml.d/lab.toml", section("lab", "10.8.0.11/16", "mtu = 1300\n"));
  await reload(vpnd, reloaded);
  assert.match(bench.ip("addr", "show", "dev", "vpn-lab"), /mtu 1300[\s\S]*10\.8\.0\.11\/16/);
  rmSync(at("vpnd.toml.d/lab.toml"));
  await reload(vpnd, reloaded);
  assert.deepEqual(await names(), ["office"]);
  assert.equal(bench.ip("-o", "link", "show", "dev", "vpn-office").split(":")[0], index);
  assert.equal(count(vpnd, /"network":"office","device":"vpn-office".*"network started"/), 1);

  write("vpnd.toml", `log.level = "debug"\nread_access = "all"\n${section("office", "10.7.0.10/16")}`);
  await reload(vpnd, /take effect when vpnd is restarted/);
  assert.match(vpnd.output, /"keys":\["read_access"\]/);
  assert.match(vpnd.output, /"changed":\["log\.level"\]/);
  assert.equal(await nodeKey("office"), key);
  await stop(vpnd);
});

test("a section that was missing for a while costs no node key; leaving it for good does", {
  skip,
}, async () => {
  write("vpnd.toml", section("office", "10.7.0.10/16"));
  const first = await start();
  const key = await nodeKey("office");
  write("vpnd.toml", "");
  await reload(first, reloaded);
  await stop(first);
  const second = await start();
  assert.deepEqual(await names(), []);
  write("vpnd.toml", section("office", "10.7.0.10/16"));
  await reload(second, reloaded);
  assert.equal(await nodeKey("office"), key);
  write("vpnd.toml", "");
  await reload(second, reloaded);
  assert.equal((await api().leave({ network: "office" })).network, "office");
  write("vpnd.toml", section("office", "10.7.0.10/16"));
  await reload(second, reloaded);
  assert.notEqual(await nodeKey("office"), key);
  await stop(second);
});

test("a config that cannot be used changes nothing, and is told", { skip }, async () => {
  write("vpnd.toml", section("office", "10.7.0.10/16"));
  const vpnd = await start();
  const failed = /"msg":"config not reloaded: nothing changed"/;
  const bad: [string, RegExp][] = [
    ["[network.office\n", /vpnd\.toml:1: it is not TOML/],
    [section("office", "10.9.0.1/16", "mtuu = 3\n"), /vpnd\.toml:5: unknown key network\.office\.mtuu/],
    [section("office", "10.9.0.1/16").replace("office.psk", "none.psk"), /none\.psk does not exist/],
    [section("office", "10.9.0.1"), /network office:/],
  ];
  for (const [text, said] of bad) {
    write("vpnd.toml", text);
    await reload(vpnd, failed);
    assert.match(vpnd.output, said);
  }
  write("vpnd.toml", section("office", "10.9.0.1/16"), 0o666);
  await reload(vpnd, failed);
  assert.match(vpnd.output, /everybody may write to it/);
  assert.match(bench.ip("addr", "show", "dev", "vpn-office"), /10\.7\.0\.10\/16/);
  await stop(vpnd);
});

test("another key in the key file is a rotation: the old one is still accepted", { skip }, async () => {
  write("vpnd.toml", section("office", "10.7.0.10/16"));
  const vpnd = await start();
  const index = bench.ip("-o", "link", "show", "dev", "vpn-office").split(":")[0];
  const before = (await api().getNetwork({ network: "office" })).network?.pskFingerprint;
  writeKey("office.psk", "6b".repeat(32));
  await reload(vpnd, reloaded);
  assert.notEqual((await api().getNetwork({ network: "office" })).network?.pskFingerprint, before);
  assert.equal(bench.ip("-o", "link", "show", "dev", "vpn-office").split(":")[0], index);
  const secrets: unknown = JSON.parse(readFileSync(join(bench.stateDir, "secrets/office.json"), "utf8"));
  assert.ok(typeof secrets === "object" && secrets !== null && "formerPsks" in secrets);
  const keys = bench.connect();
  const set = keys.service(KeyService);
  await assert.rejects(
    set.setPsk({ network: "office", psk: Buffer.from("7c".repeat(32)), graceSeconds: 0 }),
    (error) => error instanceof VpnError && error.message.includes(`${config()}:1`),
  );
  keys.close();
  await stop(vpnd);
  const again = await start();
  assert.match(readFileSync(join(bench.stateDir, "secrets/office.json"), "utf8"), /formerPsks/);
  await stop(again);
});

test("a network that was joined by hand becomes the config's and keeps its node key", { skip }, async () => {
  write("vpnd.toml", "");
  const vpnd = await start();
  const psk = Buffer.from("5a".repeat(32));
  const mesh = { virtualIp: "10.7.0.10/16", iex: ["127.0.0.1:9944"], psk, listenPort: 0, badger: false };
  await api().join({ network: "office", noWait: true, carrier: { case: "mesh", value: mesh } });
  const key = await nodeKey("office");
  write("vpnd.toml", section("office", "10.7.0.20/16"));
  await reload(vpnd, reloaded);
  assert.equal(await nodeKey("office"), key);
  assert.match(bench.ip("addr", "show", "dev", "vpn-office"), /10\.7\.0\.20\/16/);
  await stop(vpnd);
});

test("a mistake ends the start with exit code 2, and --check-config with all of them", { skip }, async () => {
  write("vpnd.toml", `sockett = "/x"\n${section("office", "10.7.0.10/16", "naem = 1\n")}`);
  const failed = bench.vpnd("--config", config());
  assert.equal(await failed.ended(), 2);
  assert.match(failed.errors, /vpnd\.toml:1: unknown key sockett\ndid you mean socket\?; 1 more/);
  const checked = bench.vpnd("--config", config(), "--check-config");
  assert.equal(await checked.ended(), 2);
  assert.match(checked.errors, /:1: unknown key sockett[\s\S]*:6: unknown key network\.office\.naem/);
  assert.equal(checked.output, "");

  write("vpnd.toml", section("office", "10.7.0.10/16"));
  chmodSync(at("office.psk"), 0o644);
  const loose = bench.vpnd("--config", config());
  assert.equal(await loose.ended(), 2);
  assert.match(loose.errors, /office\.psk may be read or written by everybody\nrun: chmod 600/);
  chmodSync(at("office.psk"), 0o600);
  const good = bench.vpnd("--config", config(), "--check-config");
  assert.equal(await good.ended(), 0);
  assert.match(good.output, /socket = ".*" +# --socket\n/);
  assert.match(good.output, /vip = "10\.7\.0\.10\/16" +# .*vpnd\.toml:3\n/);
  assert.ok(!good.output.includes("5a5a"));
  const absent = bench.vpnd("--config", at("none.toml"), "--check-config");
  assert.equal(await absent.ended(), 2);
  assert.match(absent.errors, /none\.toml: there is no such file/);
});

test("a FIFO in place of a file does not hold up the start", { skip }, async () => {
  execFileSync("mkfifo", [config()]);
  const vpnd = bench.vpnd("--config", config());
  assert.equal(await vpnd.ended(), 2);
  assert.match(vpnd.errors, /it is no file/);
});

test("a mistake in the config does not keep --cleanup from its work", { skip }, async () => {
  write(
    "vpnd.toml",
    `state_dir = "${bench.stateDir}"\n${section("office", "10.7.0.10/16", 'device = "tun-kept"\n')}`,
  );
  bench.ip("tuntap", "add", "dev", "tun-kept", "mode", "tun");
  const before = bench.ip("-o", "addr", "show", "dev", "tun-kept");
  const vpnd = await start();
  assert.match(bench.ip("addr", "show", "dev", "tun-kept"), /10\.7\.0\.10/);
  await vpnd.stop("SIGKILL");
  write("vpnd.toml", "nonsense = 1\n");
  const cleanup = bench.vpnd("--config", config(), "--cleanup");
  assert.equal(await cleanup.ended(), 0, cleanup.errors);
  assert.match(cleanup.output, /unknown key nonsense/);
  assert.equal(bench.ip("-o", "addr", "show", "dev", "tun-kept"), before);
  assert.equal(bench.journal(), undefined);
});

test("who protects packets is the config's choice, and a reload changes it", { skip }, async () => {
  const crypto = async (): Promise<string> =>
    (await api().getNetwork({ network: "office" })).details?.crypto ?? "";
  const office = section("office", "10.7.0.10/16");
  write("vpnd.toml", `engine.crypto = "openssl"\n${office}`);
  const vpnd = await start();
  assert.match(await crypto(), /^OpenSSL \d/);
  write("vpnd.toml", `engine.crypto = "auto"\n${office}`);
  await reload(vpnd, reloaded);
  const automatic = await crypto();
  write("vpnd.toml", `engine.crypto = "ipsec-mb"\n${office}`);
  if (automatic.startsWith("libipsec-mb ")) {
    await reload(vpnd, reloaded);
  } else {
    await reload(vpnd, /config not reloaded: nothing changed/);
    assert.match(vpnd.output, /engine\.crypto = \\"ipsec-mb\\" cannot be used: /);
  }
  assert.equal(await crypto(), automatic);
  await api().down({ network: "office" });
  assert.equal(await crypto(), "");
  await stop(vpnd);
});
