/** Names of nodes, asked of real programs: who answers whom, namesakes, strangers, garbage, and nothing left behind. */
import assert from "node:assert/strict";
import { waitFor } from "../lab/command.js";
import type { Host } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";

interface Scene {
  a: Daemon;
  b: Daemon;
  c: Daemon;
  outside: Host;
  common: { iex: string; psk: string; network: string };
  before: Map<Daemon, string>;
}

interface Details {
  dns: {
    state: string;
    domain: string;
    server: string;
    name?: string;
    askedBy: string;
    reason?: { message: string };
  };
}

const vip = { a: "10.81.0.1", b: "10.81.0.2", c: "10.81.0.3", cAgain: "10.81.0.4" };

async function dig(host: Host, server: string, ...args: string[]): Promise<string> {
  const { stdout } = await host.exec("dig", [`@${server}`, "+tries=1", "+time=20", ...args]);
  return stdout;
}

const short = async (host: Host, server: string, ...args: string[]): Promise<string> =>
  (await dig(host, server, "+short", ...args)).trim();

/** Peers' names come with their handshakes. */
async function resolves(host: Host, server: string, name: string, address: string): Promise<void> {
  let last = "";
  await waitFor(
    async () => {
      last = await short(host, server, name);
      return last === address;
    },
    30_000,
    `${host.name}: ${name} is ${address}`,
    () => last,
  );
}

labSuite<Scene>(
  "names",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    const hosts: Host[] = [];
    for (const name of ["a", "b", "c"]) hosts.push(await lab.publicHost(name));
    const outside = await lab.publicHost("outside");
    const [a, b, c] = await Promise.all(hosts.map((host) => vpnd(host)));
    assert.ok(a && b && c);
    const before = new Map<Daemon, string>();
    for (const daemon of [a, b, c]) before.set(daemon, await snapshot(daemon.host));
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate(), network: "home" };
    await a.join({ ...common, vip: `${vip.a}/24`, name: "alice", badger: true });
    await b.join({ ...common, vip: `${vip.b}/24`, name: "bob", badger: true });
    await a.peerUp(vip.b);
    return { a, b, c, outside, common, before };
  },
  (step) => {
    step("a node answers names of its network, both ways, over UDP and TCP", async ({ a }) => {
      await resolves(a.host, vip.a, "bob.home.vpn", vip.b);
      assert.equal(await short(a.host, vip.a, "+tcp", "BOB.Home.VPN"), vip.b);
      assert.equal(await short(a.host, vip.a, "alice.home.vpn"), vip.a);
      assert.equal(await short(a.host, vip.a, "-x", vip.b), "bob.home.vpn.");
      assert.match(await dig(a.host, vip.a, "carol.home.vpn"), /status: NXDOMAIN/);
      assert.match(await dig(a.host, vip.a, "example.com"), /status: REFUSED/);
    });

    step("it says how to ask where nobody does by itself, and touches no resolver", async ({ a }) => {
      const { dns } = await a.json<Details>(["network"]);
      assert.deepEqual(
        { ...dns, everything: undefined },
        {
          domain: "home.vpn",
          name: "alice.home.vpn",
          server: vip.a,
          state: "on",
          askedBy: "none",
          everything: undefined,
        },
      );
      for (const command of ["network", "status"])
        assert.match(await a.ok([command]), /^# .*dig @10\.81\.0\.1 alice\.home\.vpn$/m);
      assert.doesNotMatch(await a.ok(["footprint"]), /resolv/);
    });

    step("a namesake gets a number, and who was first keeps the name", async ({ a, b, c, common }) => {
      await c.join({ ...common, vip: `${vip.c}/24`, name: "bob", badger: true });
      await a.peerUp(vip.c);
      await resolves(a.host, vip.a, "bob-2.home.vpn", vip.c);
      assert.equal(await short(a.host, vip.a, "bob.home.vpn"), vip.b);
      assert.equal(await short(b.host, vip.b, "bob.home.vpn"), vip.b, "each node is itself");
    });

    step("a peer may ask through the tunnel, for this network only", async ({ a, b }) => {
      assert.equal(await short(b.host, vip.a, "alice.home.vpn"), vip.a);
      assert.equal(await short(b.host, vip.a, "+tcp", "alice.home.vpn"), vip.a);
      assert.match(await dig(b.host, vip.a, "vpn"), /status: REFUSED/);
      assert.match(await dig(b.host, vip.a, "example.com"), /status: REFUSED/);
      assert.match(
        await a.ok(["metrics"]),
        /vpnd_name_queries_total\{network="home",outcome="refused"\} [1-9]/,
      );
    });

    step("a host outside gets no answer, though it finds a way", async ({ a, outside }) => {
      await outside.ip("route", "add", `${vip.a}/32`, "via", a.host.address);
      assert.match(await dig(outside, vip.a, "+time=1", "alice.home.vpn"), /no servers could be reached/);
      assert.match(await dig(outside, vip.a, "+time=1", "+tcp", "alice.home.vpn"), /no servers|failed/);
      assert.match(await a.ok(["metrics"]), /outcome="stranger"\} [1-9]/);
    });

    step("garbage of a peer changes nothing, and too much is dropped", async ({ a, b }) => {
      const noise = `for i in $(seq 1500); do head -c $((i % 300)) /dev/urandom >/dev/udp/${vip.a}/53; done 2>/dev/null`;
      const tcp = `for i in $(seq 20); do head -c 3000 /dev/urandom >/dev/tcp/${vip.a}/53; done 2>/dev/null`;
      await b.host.exec("bash", ["-c", `${noise}; ${tcp}`]);
      await resolves(b.host, vip.a, "alice.home.vpn", vip.a);
      assert.match(await a.ok(["metrics"]), /outcome="malformed"\} [1-9]/);
      assert.equal(await short(a.host, vip.a, "bob.home.vpn"), vip.b);
    });

    step("names end with the network and come back with it", async ({ a }) => {
      await a.ok(["down"]);
      assert.match(await dig(a.host, vip.a, "+time=1", "alice.home.vpn"), /no servers|unreachable|refused/);
      assert.equal((await a.json<Details>(["network"])).dns.state, "down");
      await a.ok(["up"]);
      await a.peerUp(vip.b);
      await resolves(a.host, vip.a, "bob.home.vpn", vip.b);
    });

    step("where port 53 is taken the network runs without names, until it is free", async ({ c }) => {
      await c.ok(["down"]);
      const script = 'require("dgram").createSocket("udp4").bind(53,"0.0.0.0",()=>console.log("bound"))';
      const other = c.host.spawn("other-dns", process.execPath, ["-e", script]);
      await other.until(() => other.log.includes("bound"), 10_000, "the other server is there");
      await c.ok(["up"]);
      await c.peerUp(vip.a);
      await waitFor(
        async () => (await c.json<Details>(["network"])).dns.state === "failed",
        10_000,
        "names have failed",
      );
      assert.match(await c.ok(["network"]), /port 53 of 10\.81\.0\.3 is in use/);
      await other.stop();
      await resolves(c.host, vip.c, "alice.home.vpn", vip.a);
    });

    step("--no-dns answers nothing, is kept, and counts as another network", async ({ c, common }) => {
      await c.ok(["leave"]);
      // An address of its own: the old one is pinned to the key that was left.
      const options = { ...common, vip: `${vip.cAgain}/24`, name: "carol", badger: true };
      await c.join({ ...options, more: ["--no-dns"] });
      const off = async (): Promise<void> => {
        assert.equal((await c.json<Details>(["network"])).dns.state, "off");
        assert.match(await dig(c.host, vip.cAgain, "+time=1", "bob.home.vpn"), /no servers|refused/);
      };
      await off();
      assert.match((await c.ctl(c.joinArgs(options))).stderr, /another --no-dns/);
      await c.stop();
      await c.start();
      await c.peerUp(vip.a);
      await off();
      await c.ok(["set", "--dns"]);
      await resolves(c.host, vip.cAgain, "alice.home.vpn", vip.a);
      await c.ok(["set", "--no-dns"]);
      await off();
    });

    step("nothing is left, neither after leave nor after a kill", async ({ a, b, c, before }) => {
      await a.ok(["leave"]);
      await c.ok(["leave"]);
      await b.crash();
      await b.start();
      await b.ok(["leave"]);
      for (const daemon of [a, b, c]) await assertUnchanged(daemon.host, before.get(daemon) ?? "");
    });
  },
);
