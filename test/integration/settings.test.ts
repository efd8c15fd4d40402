/** `vpnctl set` against a real vpnd: what changes, how much it disturbs, and what is refused. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { Bench, until } from "./support/daemon.js";
import { type Said, vpnctlAs } from "./support/people.js";

const skip = process.getuid?.() === 0 ? false : "needs root for network namespaces";
let bench: Bench;

beforeEach(() => {
  if (skip) return;
  bench = new Bench();
  writeFileSync(join(bench.folder, "key"), "5a".repeat(32), { mode: 0o600 });
});
afterEach(async () => {
  if (!skip) await bench.close();
});

const ctl = (...args: string[]): Promise<Said> => vpnctlAs("root", bench, args);

async function ok(...args: string[]): Promise<string> {
  const said = await ctl(...args);
  assert.equal(said.code, 0, said.err);
  return said.out;
}

interface SetDocument {
  effect: string;
  already: boolean;
  changes: { option: string; from: string; to: string }[];
  plan?: string[];
}

async function set(...args: string[]): Promise<SetDocument> {
  return JSON.parse(await ok("--json", "set", ...args)) as SetDocument;
}

const joinMesh = (): Promise<string> =>
  ok(
    ...["join", "office", "--iex", "127.0.0.1:9944", "--vip", "10.7.0.1/24"],
    ...["--psk-file", join(bench.folder, "key"), "--no-wait"],
  );

const index = (device: string): string => bench.ip("-o", "link", "show", "dev", device).split(":")[0] ?? "";

test("a mesh: servers change while it lives, an MTU by a restart; both outlive vpnd", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  await joinMesh();
  const first = index("vpn-office");

  const dry = await set("office", "--iex", "127.0.0.1:9955", "--mtu", "1300", "--dry-run");
  assert.equal(dry.effect, "restart");
  assert.deepEqual(dry.plan, [
    "change --iex from 127.0.0.1:9944 to 127.0.0.1:9955",
    "change --mtu from 1400 to 1300",
    "restart network office: its device is made anew",
  ]);
  assert.match(await ok("network", "office"), /127\.0\.0\.1:9944/);

  const live = await set("office", "--iex", "127.0.0.1:9955");
  assert.equal(live.effect, "live");
  assert.deepEqual(live.changes, [{ option: "--iex", from: "127.0.0.1:9944", to: "127.0.0.1:9955" }]);
  assert.equal(index("vpn-office"), first, "the device is the same");
  const shown = await ok("network", "office");
  assert.match(shown, /server: +127\.0\.0\.1:9955/);
  assert.doesNotMatch(shown, /9944/);
  assert.deepEqual((await set("office", "--iex", "127.0.0.1:9955")).already, true);
  assert.match(await ok("set", "--iex", "127.0.0.1:9955"), /nothing to change in office/);

  const server = await bench.server(9955);
  await until(async () => /state: +up/.test(await ok("network", "office")), "the new server is spoken to");
  await server.stop();

  const text = await ok("set", "office", "--mtu", "1300", "--vip", "10.8.0.1/24", "--name", "Beta");
  assert.match(text, /office: --vip is now 10\.8\.0\.1\/24, was 10\.7\.0\.1\/24/);
  assert.match(text, /# the network was restarted/);
  assert.match(bench.ip("addr", "show", "dev", "vpn-office"), /mtu 1300[\s\S]*10\.8\.0\.1\/24/);
  assert.notEqual(index("vpn-office"), first);

  assert.equal(await vpnd.stop(), 0);
  const again = await bench.readyVpnd();
  assert.match(bench.ip("addr", "show", "dev", "vpn-office"), /mtu 1300[\s\S]*10\.8\.0\.1\/24/);
  assert.match(await ok("network", "office"), /name: +beta/);
  assert.equal(await again.stop(), 0);
});

test("what cannot be had leaves the network as it was", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  await joinMesh();
  await ok("join", "branch", "--tcp-listen", "55555", "--vip", "10.5.0.1/24");
  for (const [args, code, said] of [
    [["office", "--vip", "10.5.0.9/24"], 1, /10\.5\.0\.0\/24 overlaps 10\.5\.0\.0\/24 of network branch/],
    [["office", "--device", "vpn-branch"], 1, /device vpn-branch is used by network branch/],
    [["office", "--device", "lo"], 1, /lo/],
    [["office", "--tcp-listen", "5"], 2, /--tcp-listen is not an option of office, a mesh/],
    [["branch", "--iex", "h:1"], 2, /--iex is not an option of branch, a TCP link/],
    [["branch", "--tcp-listen", "192.0.2.77:5"], 1, /no address 192\.0\.2\.77/],
    [["office", "--psk-file", "x"], 2, /psk set/],
    [["branch", "--tap"], 2, /vpnctl leave/],
    [["branch"], 2, /nothing to change is named/],
    [["--mtu", "1300"], 2, /several networks/],
    [["nowhere", "--mtu", "1300"], 1, /nowhere is not joined/],
  ] as const) {
    const result = await ctl("set", ...args);
    assert.equal(result.code, code, `${args.join(" ")}: ${result.err}`);
    assert.match(result.err, said);
    assert.ok(result.err.trimEnd().split("\n").length >= 2, `no hint: ${result.err}`);
  }
  assert.match(bench.ip("addr", "show", "dev", "vpn-office"), /10\.7\.0\.1\/24/);
  assert.match(await ok("network", "branch"), /listens on 55555/);
  assert.match(bench.inside("ss", "-Htnl"), /:55555/);
  assert.equal(await vpnd.stop(), 0);
});

test("a link listens elsewhere without a new device; one that is down has it from its next start on", {
  skip,
}, async () => {
  const vpnd = await bench.readyVpnd();
  await ok("join", "branch", "--tcp-listen", "55555", "--vip", "10.5.0.1/24");
  const first = index("vpn-branch");
  // The same port at one address: it was the link's own before.
  assert.equal((await set("branch", "--tcp-listen", "127.0.0.1:55555")).effect, "live");
  assert.match(bench.inside("ss", "-Htnl"), /127\.0\.0\.1:55555/);
  assert.equal((await set("branch", "--tcp-connect", "127.0.0.1:9")).effect, "live");
  assert.doesNotMatch(bench.inside("ss", "-Htnl"), /:55555/);
  assert.match(await ok("network", "branch"), /connects to 127\.0\.0\.1:9/);
  assert.equal((await set("branch", "--tcp-listen", "55556")).effect, "live");
  assert.equal(index("vpn-branch"), first);
  await ok("down", "branch");
  const stored = await ok("set", "branch", "--mtu", "1280");
  assert.match(stored, /# network branch is down/);
  assert.match(await ok("network", "branch"), /state: +down[\s\S]*mtu: +1280/);
  await ok("up", "branch");
  assert.match(bench.ip("link", "show", "dev", "vpn-branch"), /mtu 1280/);
  assert.equal(await vpnd.stop(), 0);
});

test("a declared network is changed where it is declared", { skip }, async () => {
  const config = join(bench.folder, "vpnd.toml");
  writeFileSync(config, '\n[network.branch]\ntcp_listen = 55555\nvip = "10.5.0.1/24"\n');
  const vpnd = await bench.readyVpnd("--config", config);
  const refused = await ctl("set", "branch", "--mtu", "1300");
  assert.equal(refused.code, 1);
  assert.ok(refused.err.includes(`${config}:2`), refused.err);
  assert.match(refused.err, /reload/);
  assert.equal(await vpnd.stop(), 0);
});
