/** LANs behind gateways: hosts without vpnd reach each other, equal subnets by mapped addresses; everything is given back. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import { type Host, type Lab, repository } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { ping } from "../lab/traffic.js";

interface Scene {
  a: Daemon;
  b: Daemon;
  c: Daemon;
  d: Daemon;
  hostA: Host;
  hostB: Host;
  hostC: Host;
  before: Map<Daemon, string>;
}

interface Routes {
  offers: { prefix: string; as?: string; state: string; devices: string[] }[];
  routes: { prefix: string; virtualIp: string; name?: string; state: string; reason?: { message: string } }[];
}

const lanC = "172.20.1.0/24";
const [mapA, mapB] = ["10.99.1.0/24", "10.99.2.0/24"];

/** Somebody else's firewall, which must be left alone. */
const foreign = `
table inet mine {
  chain forward { type filter hook forward priority 0; policy accept; ct state invalid counter drop; }
  chain nat { type nat hook postrouting priority 100; policy accept; oifname "eth9" masquerade; }
}
`;

/** A public gateway that is no router yet, with the LAN's first address. */
async function gateway(lab: Lab, name: string): Promise<Host> {
  const gw = await lab.publicHost(name);
  await gw.sysctl("net.ipv4.ip_forward", "0");
  return gw;
}

async function site(lab: Lab, gw: Host, hostName: string, network: string): Promise<Host> {
  const host = await lab.isolatedHost(hostName);
  await lab.wire(host, "eth0", gw, "lan");
  await gw.ip("addr", "add", `${network}.1/24`, "dev", "lan");
  await host.ip("addr", "add", `${network}.10/24`, "dev", "eth0");
  await host.ip("route", "add", "default", "via", `${network}.1`);
  await gw.sysctl("net.ipv4.conf.lan.forwarding", "0");
  host.address = `${network}.10`;
  return host;
}

async function routeIs(of: Daemon, prefix: string, virtualIp: string, state: string, deadlineMs = 20_000) {
  let last: Routes | undefined;
  return waitFor(
    async () => {
      last = await of.json<Routes>(["routes", "list"]);
      return last.routes.find(
        (route) => route.prefix === prefix && route.virtualIp === virtualIp && route.state === state,
      );
    },
    deadlineMs,
    `${of.host.name}: ${prefix} by ${virtualIp} is ${state}`,
    () => last,
  );
}

const reaches = async (from: Host, to: string) => {
  await waitFor(
    async () => (await ping(from, to, { count: 1, waitSeconds: 1 })).received === 1,
    20_000,
    `${from.name} reaches ${to}`,
  );
};

labSuite<Scene>(
  "routes",
  async (lab) => {
    const server = await lab.publicHost("server");
    const gws: Host[] = [];
    for (const name of ["gwa", "gwb", "gwc", "gwd"]) gws.push(await gateway(lab, name));
    const [gwA, gwB, gwC, gwD] = gws;
    assert.ok(gwA && gwB && gwC && gwD);
    const hostA = await site(lab, gwA, "hosta", "192.168.10");
    const hostB = await site(lab, gwB, "hostb", "192.168.10");
    // Two gateways on one LAN: a bridge on the host's side of it.
    const hostC = await lab.isolatedHost("hostc");
    await hostC.ip("link", "add", "eth0", "type", "bridge");
    await hostC.ip("link", "set", "eth0", "up");
    for (const [gw, port, number] of [
      [gwC, "p1", 1],
      [gwD, "p2", 2],
    ] as const) {
      await lab.wire(hostC, port, gw, "lan");
      await hostC.ip("link", "set", port, "master", "eth0");
      await gw.ip("addr", "add", `172.20.1.${number}/24`, "dev", "lan");
      await gw.sysctl("net.ipv4.conf.lan.forwarding", "0");
    }
    await hostC.ip("addr", "add", "172.20.1.10/24", "dev", "eth0");
    await hostC.ip("route", "add", "default", "via", "172.20.1.1");
    for (const gw of gws) await gw.nft(foreign);
    await iexd(server, []);
    const daemons = await Promise.all(gws.map((gw) => vpnd(gw)));
    const [a, b, c, d] = daemons;
    assert.ok(a && b && c && d);
    const before = new Map<Daemon, string>();
    for (const daemon of daemons) before.set(daemon, await snapshot(daemon.host));
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
    await Promise.all(
      daemons.map((daemon, i) =>
        daemon.join({ ...common, vip: `10.80.0.${i + 1}/24`, name: daemon.host.name }),
      ),
    );
    for (const daemon of [b, c, d]) await a.peerUp(`10.80.0.${daemons.indexOf(daemon) + 1}`);
    return { a, b, c, d, hostA, hostB, hostC, before };
  },
  (step) => {
    step("what is offered is only listed until it is accepted", async ({ a, c }) => {
      await c.ok(["routes", "offer", lanC]);
      await routeIs(a, lanC, "10.80.0.3", "offered");
      assert.doesNotMatch(await a.host.ip("route"), /172\.20\.1/);
      assert.match(await a.ok(["routes", "accept", "gwc", "--dry-run"]), /add route 172\.20\.1\.0\/24/);
      assert.doesNotMatch(await a.host.ip("route"), /172\.20\.1/);
    });

    step("accepted, the gateway itself reaches a host of the LAN, unmasqueraded", async ({ a, c, hostC }) => {
      await a.ok(["routes", "accept", "gwc"]);
      await routeIs(a, lanC, "10.80.0.3", "active");
      await reaches(a.host, "172.20.1.10");
      const seen = hostC.spawn("tcpdump", "tcpdump", ["-lni", "eth0", "-c", "1", "icmp[icmptype] == 8"]);
      await seen.until(() => seen.log.includes("listening on"), 10_000, "tcpdump listens");
      await ping(a.host, "172.20.1.10");
      await seen.until(
        () => /10\.80\.0\.1 > 172\.20\.1\.10/.test(seen.log),
        10_000,
        "the source is the virtual IP",
      );
      assert.equal((await c.json<Routes>(["routes", "list"])).offers[0]?.state, "offered");
    });

    step("a LAN that was not forwarded from gets into the tunnel and nowhere else", async ({ c, hostC }) => {
      await reaches(hostC, "10.80.0.1");
      const server = "203.0.113.1";
      const wan = c.host.spawn("tcpdump", "tcpdump", ["-lni", "eth0", "icmp", "and", "host", server]);
      await wan.until(() => wan.log.includes("listening on"), 10_000, "tcpdump listens");
      assert.equal((await ping(hostC, server, { count: 2, waitSeconds: 1 })).received, 0);
      await ping(c.host, server, { count: 1 });
      await wan.until(() => wan.log.includes(`> ${server}`), 10_000, "the gateway's own ping is seen");
      assert.doesNotMatch(wan.log, /172\.20\.1\.10/);
      await wan.stop();
    });

    step("from the tunnel nothing gets further than what is offered", async ({ c }) => {
      const { stdout } = await c.host.exec("nft", ["list", "table", "inet", "vpnd-routes-vpn-default"]);
      const rules = stdout.split("\n").filter((line) => line.includes('iifname "vpn-default"'));
      assert.match(rules.at(-2) ?? "", /ip daddr 172\.20\.1\.0\/24 accept/);
      assert.match(rules.at(-1) ?? "", /iifname "vpn-default" drop/);
    });

    step("the same subnet at two sites: offered as it is, it is shadowed", async ({ a, b }) => {
      await b.ok(["routes", "offer", "192.168.10.0/24"]);
      const answer = await a.ok(["routes", "accept", "gwb"]);
      const route = await routeIs(a, "192.168.10.0/24", "10.80.0.2", "shadowed");
      assert.match(route.reason?.message ?? "", /attached/);
      assert.match(await a.ok(["routes", "list"]), /shadowed/);
      assert.doesNotMatch(await a.host.ip("route"), /192\.168\.10\.0\/24 dev vpn/);
      assert.ok(answer.length > 0);
      await b.ok(["routes", "withdraw", "192.168.10.0/24"]);
    });

    step("mapped, hosts without vpnd reach each other both ways", async ({ a, b, hostA, hostB }) => {
      await Promise.all([
        a.ok(["routes", "offer", "192.168.10.0/24", "--as", mapA]),
        b.ok(["routes", "offer", "192.168.10.0/24", "--as", mapB]),
        b.ok(["routes", "accept", "gwa"]),
      ]);
      await routeIs(a, mapB, "10.80.0.2", "active");
      await routeIs(b, mapA, "10.80.0.1", "active");
      await reaches(hostA, "10.99.2.10");
      await reaches(hostB, "10.99.1.10");
      const seen = hostB.spawn("tcpdump", "tcpdump", ["-lni", "eth0", "-c", "1", "icmp[icmptype] == 8"]);
      await seen.until(() => seen.log.includes("listening on"), 10_000, "tcpdump listens");
      await ping(hostA, "10.99.2.10");
      await seen.until(() => /10\.99\.1\.10 > 192\.168\.10\.10/.test(seen.log), 10_000, "mapped one to one");
    });

    step("bad requests are refused in words", async ({ a }) => {
      const cases: [string[], number, RegExp][] = [
        [["offer", "192.168.10.5/24"], 2, /192\.168\.10\.0\/24/],
        [["offer", "0.0.0.0/0"], 2, /wide/],
        [["offer", "10.80.0.0/24"], 1, /own/],
        [["offer", "172.30.0.0/24", "--as", "10.98.0.0/16"], 2, /size/],
        [["offer", "192.168.10.0/24"], 1, /offered already/],
        [["withdraw", "172.30.0.0/24"], 1, /not offered/],
        [["accept"], 2, /no peer/],
        [["accept", "nobody"], 1, /nobody/],
        [["accept", "172.30.0.0/24"], 2, /PEER/],
      ];
      for (const [args, code, message] of cases) {
        const result = await a.ctl(["routes", ...args]);
        assert.equal(result.code, code, `${args.join(" ")}: ${result.stderr}`);
        assert.match(result.stderr, message);
      }
      const again = await a.ok(["routes", "offer", "192.168.10.0/24", "--as", mapA]);
      assert.match(again, /nothing to change/);
      const nowhere = await a.ok(["routes", "offer", "172.30.0.0/24"]);
      assert.match(nowhere, /no route/);
      const { offers } = await a.json<Routes>(["routes", "list"]);
      assert.equal(offers.find((one) => one.prefix === "172.30.0.0/24")?.state, "unreachable");
      await a.ok(["routes", "withdraw", "172.30.0.0/24"]);
    });

    step(
      "another gateway takes over when the first falls silent, and gives back",
      async ({ a, c, d, hostC }) => {
        await d.ok(["routes", "offer", lanC]);
        await a.ok(["routes", "accept", "gwd", "172.16.0.0/12"]);
        await routeIs(a, lanC, "10.80.0.4", "standby");
        await c.crash();
        await routeIs(a, lanC, "10.80.0.4", "active", 60_000);
        // As a router's failover protocol would.
        await hostC.ip("route", "replace", "default", "via", "172.20.1.2");
        await reaches(a.host, "172.20.1.10");
        await c.start();
        await routeIs(a, lanC, "10.80.0.3", "active", 60_000);
        await hostC.ip("route", "replace", "default", "via", "172.20.1.1");
        await reaches(a.host, "172.20.1.10");
      },
    );

    step("everything is back after a restart", async ({ a, hostA }) => {
      assert.equal(await a.stop(), 0);
      await a.start();
      await routeIs(a, mapB, "10.80.0.2", "active", 60_000);
      await routeIs(a, lanC, "10.80.0.3", "active", 60_000);
      await reaches(hostA, "10.99.2.10");
    });

    step("rejected, a route is gone; down and up take and bring all", async ({ a, b }) => {
      await a.ok(["routes", "reject", "gwc"]);
      await routeIs(a, lanC, "10.80.0.4", "active");
      await a.ok(["routes", "reject", "all"]);
      assert.doesNotMatch(await a.host.ip("route"), /172\.20\.1|10\.99/);
      await b.ok(["down"]);
      assert.doesNotMatch((await b.host.exec("nft", ["list", "tables"])).stdout, /vpnd/);
      await b.ok(["up"]);
      await b.peerUp("10.80.0.1");
      await routeIs(b, mapA, "10.80.0.1", "active");
    });

    step("stopped, left, or killed and cleaned up: every machine is as it was", async (scene) => {
      const { a, b, c, d, before } = scene;
      const unchanged = (daemon: Daemon) => assertUnchanged(daemon.host, before.get(daemon) ?? "");
      await a.ok(["leave"]);
      await unchanged(a);
      assert.equal(await b.stop(), 0);
      await unchanged(b);
      await d.crash();
      const cleanup = await d.host.exec(join(repository, "bin/vpnd"), [
        "--cleanup",
        "--state-dir",
        d.stateDir,
        "--socket",
        d.socket,
      ]);
      assert.equal(cleanup.code, 0, cleanup.stderr);
      await unchanged(d);
      await c.ok(["routes", "withdraw"]);
      await c.ok(["down"]);
      await unchanged(c);
    });
  },
);
