/**
 * Nothing leaves the physical interface with the kill switch on, whatever happens to vpnd. What leaves is counted on the other
 * side of the wire, where nothing is missed, while programs go on trying to get out.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { waitFor } from "../lab/command.js";
import { type Host, type Router, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { iperf, reachable } from "../lab/traffic.js";

const udpPort = 40_100;
const secondPort = 40_101;
const allowedPort = 9999;

interface Scene {
  a: Daemon;
  host: Host;
  router: Router;
  server: Host;
  b: Daemon;
  join: Parameters<Daemon["join"]>[0];
  talker: Running;
  foreign: string;
}

const counters = ["arp", "nd", "dhcp", "vpnd", "host", "lan", "lan_dns", "strange"] as const;
type Counts = Record<(typeof counters)[number], number>;

/** Counts what comes out of the host's interface by what it is, from now on. */
async function watchFrom({ router, server }: Pick<Scene, "router" | "server">): Promise<void> {
  await router.nft(`
    table netdev watch
    delete table netdev watch
    table netdev watch {
      set to4 { type ipv4_addr; flags dynamic; size 1000; }
      set to6 { type ipv6_addr; flags dynamic; size 1000; }
      ${counters.map((name) => `counter n_${name} {}`).join("\n")}
      chain in {
        type filter hook ingress device "p1" priority -500; policy accept;
        ether type arp counter name n_arp accept
        icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } counter name n_nd accept
        udp sport 68 udp dport 67 counter name n_dhcp accept
        ip6 saddr fe80::/10 udp sport 546 udp dport 547 counter name n_dhcp accept
        udp sport { ${udpPort}, ${secondPort} } counter name n_vpnd accept
        ip daddr ${server.address} udp dport ${allowedPort} counter name n_host accept
        ip daddr 192.168.77.0/24 meta l4proto { tcp, udp } th dport 53 counter name n_lan_dns
        ip daddr 192.168.77.0/24 counter name n_lan accept
        update @to4 { ip daddr }
        update @to6 { ip6 daddr }
        counter name n_strange
      }
    }`);
}

async function counts({ router }: Pick<Scene, "router">): Promise<Counts & { to: string }> {
  const { stdout } = await router.exec("nft", ["list", "table", "netdev", "watch"]);
  const found = counters.map((name) => {
    const packets = new RegExp(`counter n_${name} \\{\\s*packets (\\d+)`).exec(stdout)?.[1];
    return [name, Number(packets)];
  });
  const to = [...stdout.matchAll(/elements = \{([^}]*)\}/g)].map((one) => one[1]?.trim()).join(" ");
  return { ...(Object.fromEntries(found) as Counts), to };
}

/** Programs that try to get out, over and over: pings, look-ups, connections, in IPv4 and IPv6. */
function startTalker(host: Host, server: Host): Running {
  const { address, address6 } = server;
  const pings = [address, "203.0.113.254", "192.168.77.1", address6].map((to) => `ping -n -c 1 -W 1 ${to}`);
  const writes = [address, "192.168.77.1", address6, "203.0.113.250"].flatMap((to) => [
    `timeout 1 bash -c "echo x >/dev/udp/${to}/53"`,
    `timeout 1 bash -c "echo x >/dev/tcp/${to}/853"`,
  ]);
  const more = [
    `timeout 1 bash -c "echo x >/dev/tcp/${address6}/443"`,
    `timeout 1 bash -c "echo x >/dev/udp/${address}/${allowedPort}"`,
  ];
  const round = [...pings, ...writes, ...more].map((command) => `${command} &`).join("\n");
  const loop = `while :; do ${round}\nwait; echo round; sleep 0.2; done`;
  return host.spawn("talker", "sh", ["-c", `exec 2>/dev/null; ${loop}`]);
}

/** Waits until the talker has tried everything. */
async function tried({ talker }: Pick<Scene, "talker">): Promise<void> {
  const rounds = (): number => talker.log.match(/^round$/gm)?.length ?? 0;
  // One may have been under way.
  const wanted = rounds() + 2;
  await talker.until(() => rounds() >= wanted, 60_000, "programs have tried to get out");
}

/** Nothing outside the list from the last `watchFrom` on. */
async function assertSealed(scene: Scene, when: string): Promise<Counts> {
  await tried(scene);
  const seen = await counts(scene);
  assert.equal(seen.strange, 0, `${when}: ${JSON.stringify(seen)}`);
  assert.equal(seen.host + seen.lan, 0, `${when}: ${JSON.stringify(seen)}`);
  return seen;
}

async function foreignRules(host: Host): Promise<string> {
  const { stdout } = await host.exec("nft", ["list", "ruleset"]);
  return stdout.replace(/^table inet vpnd_kill_switch \{\n[\s\S]*?^\}\n/m, "");
}

function cleanUp(a: Daemon, ...more: string[]) {
  const args = ["--state-dir", a.stateDir, "--socket", a.socket];
  return a.host.exec(`${repository}/bin/vpnd`, [...args, ...more]);
}

interface Status {
  on: boolean;
  inForce: boolean;
  devices?: string[];
  lan?: string[];
}
/** Exit 9 is for one whose table is gone. */
async function status(a: Daemon): Promise<Status> {
  const { code, stdout, stderr } = await a.ctl(["--json", "kill-switch", "status"]);
  const now = JSON.parse(stdout) as Status;
  assert.equal(code, now.on && !now.inForce ? 9 : 0, stderr);
  return now;
}

/** Packets that others send through the host: it forwards them back onto the wire. */
const [through4, through6] = ["192.0.2.77", "2001:db8:77::1"];
async function sendThrough({ router }: Pick<Scene, "router">): Promise<void> {
  for (const to of [through4, through6]) await router.exec("ping", ["-n", "-c", "2", "-W", "1", to]);
}

labSuite<Scene>(
  "kill-switch",
  async (lab) => {
    const server = await lab.publicHost("server");
    const router = await lab.router("ra", "open");
    const host = await lab.hostBehind("a", router);
    // A LAN of its own besides the routed prefix, which is no private one.
    await router.ip("addr", "add", "192.168.77.1/24", "dev", "lan");
    await host.ip("addr", "add", "192.168.77.2/24", "dev", "eth0");
    await host.sysctl("net.ipv4.ip_forward", "1");
    await host.sysctl("net.ipv6.conf.all.forwarding", "1");
    await router.ip("route", "add", through4, "via", host.address);
    await router.ip("-6", "route", "add", through6, "via", host.address6);
    await host.nft("table inet theirs { chain out { type filter hook output priority 5; counter; }; }");
    const other = await lab.publicHost("b");
    await iexd(server);
    const [a, b] = await Promise.all([vpnd(host), vpnd(other)]);
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
    const join = { ...common, vip: "10.90.0.1/24", name: "a", more: ["--listen-port", `${udpPort}`] };
    await a.join(join);
    await b.join({ ...common, vip: "10.90.0.2/24", name: "b" });
    await a.peerUp("10.90.0.2");
    const foreign = (await foreignRules(host)).replace(/packets.*/, "");
    const talker = startTalker(host, server);
    return { a, host, router, server, b, join, talker, foreign };
  },
  (step) => {
    step("without it everything gets out, and is seen", async (scene) => {
      await watchFrom(scene);
      await tried(scene);
      await sendThrough(scene);
      const seen = await counts(scene);
      for (const name of ["strange", "host", "lan", "lan_dns"] as const) assert.ok(seen[name] > 0, name);
      const { address, address6 } = scene.server;
      for (const to of [address, address6, "203.0.113.250", through4, through6])
        assert.ok(seen.to.includes(to), `${to} in ${seen.to}`);
    });

    step("a dry run says what it would do, and changes nothing", async ({ a, host }) => {
      const plan = await a.ok(["kill-switch", "on", "--dry-run"]);
      assert.match(plan, /^add nftables table inet vpnd_kill_switch\nlet through tunnels: vpn-default$/m);
      const { stdout } = await host.exec("nft", ["list", "tables"]);
      assert.doesNotMatch(stdout, /vpnd/);
      assert.equal((await status(a)).on, false);
    });

    step("bad hosts are refused in words", async ({ a }) => {
      for (const bad of ["nas", "nas:0", "10.1:80", "[::1]", "a b:1"]) {
        const { code, stderr } = await a.ctl(["kill-switch", "on", "--allow", bad]);
        assert.equal(code, 2, bad);
        assert.match(stderr, /no host with a port\n.*--allow HOST:PORT/);
      }
      const unknown = await a.ctl(["kill-switch", "on", "--allow", "nowhere.invalid:80"]);
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /cannot be looked up\n.*address/);
      assert.equal((await status(a)).on, false);
    });

    step("on: nothing gets out but the tunnel, which works", async (scene) => {
      const { a, b, host } = scene;
      const said = await a.ok(["kill-switch", "on"]);
      await watchFrom(scene);
      assert.match(said, /^kill switch: on, since .*\n {2}let through: tunnels: vpn-default\n/);
      assert.match(
        said,
        /^# to lift it: vpnctl kill-switch off; if vpnd is dead: sudo vpnd --cleanup --kill-/m,
      );
      await reachable(host, "10.90.0.2");
      assert.ok((await iperf(host, b.host, "10.90.0.2", { seconds: 1 })) > 1e6);
      assert.ok((await iperf(host, b.host, "10.90.0.2", { seconds: 1, reverse: true })) > 1e6);
      await sendThrough(scene);
      assert.ok((await assertSealed(scene, "on")).vpnd > 0);
      assert.equal((await foreignRules(host)).replace(/packets.*/, ""), scene.foreign);
      assert.deepEqual((({ on, inForce }) => ({ on, inForce }))(await status(a)), {
        on: true,
        inForce: true,
      });
      assert.match(await a.ok(["status"]), /^kill switch: on/m);
      assert.match(await a.ok(["footprint"]), /^nft-table +inet vpnd_kill_switch +- +yes/m);
      assert.match(await a.ok(["footprint"]), /^file +\S+\/kill-switch\.json/m);
      assert.match(await a.ok(["plan"]), /applied +add nftables table inet vpnd_kill_switch/);
      const again = await a.json<Status>(["kill-switch", "on"]);
      assert.deepEqual(again.devices, ["vpn-default"]);
    });

    step("DHCP passes", async (scene) => {
      const send = `
        const dgram = require("node:dgram");
        const six = dgram.createSocket("udp6"), four = dgram.createSocket("udp4");
        four.bind(68, () => { four.setBroadcast(true); four.send("x", 67, "255.255.255.255", end); });
        six.bind(546, () => six.send("x", 547, "ff02::1:2%eth0", end));
        let left = 2;
        function end(error) { if (error) throw error; if (--left === 0) process.exit(0); }`;
      const { code, stderr } = await scene.host.exec(process.execPath, ["-e", send]);
      assert.equal(code, 0, stderr);
      await waitFor(
        async () => (await counts(scene)).dhcp === 2,
        20_000,
        "both are seen",
        () => counts(scene),
      );
    });

    step("kill -9, clean-up, start", async (scene) => {
      const { a, host } = scene;
      await a.crash();
      await assertSealed(scene, "after kill -9");
      const dead = await a.ctl(["kill-switch", "off"]);
      assert.equal(dead.code, 7);
      assert.match(dead.stderr, /sudo vpnd --cleanup --kill-switch/);
      const { code, stdout } = await cleanUp(a, "--cleanup");
      assert.equal(code, 0);
      assert.match(stdout, /^# the kill switch stays on; to lift it: /m);
      await assertSealed(scene, "after --cleanup");
      await a.start();
      await reachable(host, "10.90.0.2", 60_000);
      await assertSealed(scene, "started again");
      assert.equal((await status(a)).inForce, true);
    });

    step("SIGTERM leaves it on, and says so", async (scene) => {
      const { a, host } = scene;
      assert.equal(await a.stop(), 0);
      assert.match(a.program.log, /the kill switch stays on; to lift it: /);
      await assertSealed(scene, "stopped");
      await a.start();
      await reachable(host, "10.90.0.2", 60_000);
      await assertSealed(scene, "started again");
    });

    step("at boot it is there before vpnd", async (scene) => {
      const { a, host } = scene;
      assert.equal(await a.stop(), 0);
      await host.exec("nft", ["delete", "table", "inet", "vpnd_kill_switch"]);
      const { code, stdout } = await cleanUp(a, "--restore-kill-switch");
      await watchFrom(scene);
      assert.equal(code, 0);
      assert.match(stdout, /^add nftables table inet vpnd_kill_switch$/m);
      await assertSealed(scene, "restored");
      await a.start();
      await reachable(host, "10.90.0.2", 60_000);
      await assertSealed(scene, "with vpnd");
    });

    step("who flushes all rules does not lift it", async (scene) => {
      const { a, host } = scene;
      await host.exec("nft", ["delete", "table", "inet", "vpnd_kill_switch"]);
      await waitFor(async () => (await status(a)).inForce, 20_000, "the table is back");
      await watchFrom(scene);
      await assertSealed(scene, "back");
    });

    step("a network that joins, and one that goes down and up, work", async (scene) => {
      const { a, b, join, host } = scene;
      await a.ok(["down"]);
      await assertSealed(scene, "down");
      await a.ok(["up"]);
      await reachable(host, "10.90.0.2", 60_000);
      const psk = await pskGenerate();
      const two = { iex: join.iex, psk, network: "two" };
      await b.join({ ...two, vip: "10.91.0.2/24", name: "b" });
      await a.join({ ...two, vip: "10.91.0.1/24", name: "a", more: ["--listen-port", `${secondPort}`] });
      await reachable(host, "10.91.0.2", 60_000);
      assert.deepEqual((await status(a)).devices, ["vpn-default", "vpn-two"]);
      await a.ok(["leave", "two"]);
      await waitFor(async () => (await status(a)).devices?.length === 1, 20_000, "the device is shut again");
      await assertSealed(scene, "joined and left");
    });

    step("the LAN and a host, if they are allowed, and no look-ups there", async (scene) => {
      const { a, server, host } = scene;
      const allow = ["--allow-lan", "--allow", `${server.address}:${allowedPort}`];
      const said = await a.ok(["kill-switch", "on", ...allow]);
      await watchFrom(scene);
      assert.match(said, /192\.168\.77\.0\/24/);
      assert.match(said, /^# 198\.51\.100\.\d+\/28 is attached, but no private subnet: it stays shut$/m);
      await tried(scene);
      const seen = await counts(scene);
      assert.equal(seen.strange, 0, JSON.stringify(seen));
      assert.equal(seen.lan_dns, 0, JSON.stringify(seen));
      assert.ok(seen.lan > 0 && seen.host > 0, JSON.stringify(seen));
      await reachable(host, "192.168.77.1");
      await a.ok(["kill-switch", "on"]);
      await watchFrom(scene);
      await assertSealed(scene, "shut again");
    });

    step("off: everything is as it was", async (scene) => {
      const { a, host, server } = scene;
      assert.match(
        await a.ok(["kill-switch", "off", "--dry-run"]),
        /^remove nftables table inet vpnd_kill_/m,
      );
      assert.equal(await a.ok(["kill-switch", "off"]), "kill switch: off\n");
      await reachable(host, server.address);
      const { stdout } = await host.exec("nft", ["list", "ruleset"]);
      assert.equal(stdout.replace(/packets.*/, ""), scene.foreign);
      assert.doesNotMatch(await a.ok(["footprint"]), /kill-switch|kill_switch/);
      assert.equal(await a.ok(["kill-switch", "off"]), "kill switch: off already\n");
      const audits = readFileSync(a.program.logFile, "utf8").match(/"command":"kill-switch-\w+".*/g);
      assert.match(audits?.at(-1) ?? "", /"command":"kill-switch-off".*"outcome":"ok"/);
    });

    step(
      "without vpnd it is lifted by --cleanup --kill-switch, which a living vpnd refuses",
      async (scene) => {
        const { a, host, server } = scene;
        await a.ok(["kill-switch", "on"]);
        await watchFrom(scene);
        assert.equal((await cleanUp(a, "--cleanup", "--kill-switch")).code, 1);
        await assertSealed(scene, "refused");
        await a.crash();
        const dry = await cleanUp(a, "--cleanup", "--kill-switch", "--dry-run");
        assert.match(dry.stdout, /^remove nftables table inet vpnd_kill_switch$/m);
        await assertSealed(scene, "dry run");
        const { code, stdout } = await cleanUp(a, "--cleanup", "--kill-switch");
        assert.equal(code, 0);
        assert.match(
          stdout,
          /^remove nftables table inet vpnd_kill_switch\nremove file .*kill-switch\.json$/m,
        );
        await reachable(host, server.address);
        assert.equal(
          (await host.exec("nft", ["list", "ruleset"])).stdout.replace(/packets.*/, ""),
          scene.foreign,
        );
      },
    );
  },
);
