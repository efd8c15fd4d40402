/**
 * All traffic through a peer. What the outside sees is told by a public host; what leaves the client's interface besides the tunnel
 * is counted on the other side of its wire, while exit nodes are chosen, switched, lost, and vpnd is killed.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { changed, makeForeign, netState } from "../integration/support/net-state.js";
import { must, waitFor } from "../lab/command.js";
import { type Host, type Router, repository } from "../lab/lab.js";
import { leaks, tried, tryToGetOut, watchLeaks } from "../lab/leaks.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { isSeenAs, publicWeb, seenFrom, web4, web6 } from "../lab/public-web.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";
import { giveResolvConf, routingNamesOf } from "../support/resolv-conf.js";

const udpPort = 40_300;
const [lan6, host6] = ["2001:db8:99::1", "2001:db8:99::10"];

interface Scene {
  c: Daemon;
  host: Host;
  router: Router;
  server: Host;
  web: Host;
  gw1: Daemon;
  gw2: Daemon;
  talker: Running;
  before: Map<Daemon, string>;
}

interface Exits {
  offer?: { state: string; ipv4: boolean; ipv6: boolean; clients?: { virtualIp: string }[] };
  exitNodes: { virtualIp: string; name?: string; state: string; ipv6: boolean; seenAs: string[] }[];
  use?: { active?: { virtualIp: string; seenAs: string[] }; reason?: { code: string } };
}

/** The exit node says that it does not carry that; it says so only so often. */
async function isFiltered(host: Host, address: string): Promise<void> {
  await waitFor(
    async () => {
      const { received, output } = await ping(host, address, { count: 1 });
      assert.equal(received, 0);
      return /Packet filtered/.test(output);
    },
    20_000,
    `${host.name} is told that ${address} is not carried`,
  );
}

/** A real sshd on a host; `reach` runs a command there over a real ssh, and tells the address that sshd saw. */
async function secureShell(host: Host) {
  const [hostKey, userKey] = [join(host.folder, "host_key"), join(host.folder, "user_key")];
  for (const file of [hostKey, userKey]) {
    await must("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
  }
  const settings = [
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${userKey}.pub`,
    `PidFile ${join(host.folder, "sshd.pid")}`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "Port 2222",
  ];
  const config = join(host.folder, "sshd_config");
  writeFileSync(config, `${settings.join("\n")}\n`);
  mkdirSync("/run/sshd", { recursive: true });
  const sshd = host.spawn("sshd", "/usr/sbin/sshd", ["-D", "-e", "-f", config]);
  await host.listening(sshd, "tcp", 2222);
  const known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
  const identity = ["-F", "none", "-i", userKey, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"];
  const reach = async (from: Host, address: string): Promise<string> => {
    const to = ["-p", "2222", `root@${address}`, "echo $SSH_CONNECTION"];
    const { stdout, stderr } = await from.exec("ssh", ["-q", ...identity, ...known, ...to]);
    assert.equal(stderr, "");
    return stdout.split(" ")[0] ?? "";
  };
  return { reach };
}

/** Counts anew what leaves the client. @param more kinds that may leave */
function watch({ router, server, gw1, gw2 }: Scene, more: Record<string, string> = {}): Promise<void> {
  const outside = [server, gw1.host, gw2.host].map((host) => host.address).join(", ");
  const tunnel = `ip daddr { ${outside} } udp sport ${udpPort}`;
  return watchLeaks(router, "p1", { tunnel, ...more });
}

/** Not one packet outside the list since `watch`, while programs tried. */
async function assertTight(scene: Scene, when: string) {
  await tried(scene.talker);
  const { packets, to } = await leaks(scene.router);
  assert.equal(packets.strange, 0, `${when}: ${JSON.stringify(packets)} to ${to}`);
  return packets;
}

async function active(c: Daemon, virtualIp: string | undefined): Promise<Exits> {
  let last: Exits | undefined;
  return waitFor(
    async () => {
      last = await c.json<Exits>(["exit-node", "list"]);
      return last.use !== undefined && last.use.active?.virtualIp === virtualIp ? last : undefined;
    },
    60_000,
    `traffic goes through ${virtualIp}`,
    () => last,
  );
}

async function offered(c: Daemon, virtualIp: string, how = (_: Exits["exitNodes"][number]) => true) {
  await waitFor(
    async () => {
      const { exitNodes } = await c.json<Exits>(["exit-node", "list"]);
      return exitNodes.some((one) => one.virtualIp === virtualIp && one.state !== "offline" && how(one));
    },
    20_000,
    `${virtualIp} offers`,
  );
}

labSuite<Scene>(
  "exit-node",
  async (lab) => {
    const server = await lab.publicHost("server");
    const web = await publicWeb(lab);
    const router = await lab.router("r", "port-restricted");
    const host = await lab.hostBehind("c", router);
    await router.ip("addr", "add", `${lan6}/64`, "dev", "lan");
    await host.ip("addr", "add", `${host6}/64`, "dev", "eth0");
    await host.ip("-6", "route", "add", "default", "via", lan6);
    const number = router.publicAddress.split(".")[3];
    await lab.internet.ip("-6", "route", "add", "2001:db8:99::/64", "via", `2001:db8::${number}`);
    // The strictest check of sources that there is.
    await host.sysctl("net.ipv4.conf.all.rp_filter", "1");
    await host.sysctl("net.ipv4.conf.eth0.rp_filter", "1");
    const exits = [await lab.publicHost("gw1"), await lab.publicHost("gw2")];
    for (const exit of exits) await exit.sysctl("net.ipv4.ip_forward", "0");
    // The other one carries IPv4 alone.
    await exits[0]?.sysctl("net.ipv6.conf.all.forwarding", "1");
    // A LAN behind the first, which is not the Internet.
    const nas = await lab.isolatedHost("nas");
    assert.ok(exits[0] && exits[1]);
    await lab.wire(nas, "eth0", exits[0], "lan");
    await exits[0].ip("addr", "add", "172.20.9.1/24", "dev", "lan");
    await nas.ip("addr", "add", "172.20.9.10/24", "dev", "eth0");
    await nas.ip("route", "add", "default", "via", "172.20.9.1");
    // Whoever uses an exit node changes it, and the lab's hosts would share the machine's.
    for (const one of [host, exits[1]]) giveResolvConf(one?.netns ?? "", `nameserver ${web4}\n`);
    makeForeign(host.netns);
    await iexd(server, []);
    const daemons = await Promise.all([vpnd(host), vpnd(exits[0]), vpnd(exits[1])]);
    const [c, gw1, gw2] = daemons;
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
    await Promise.all([
      c.join({ ...common, vip: "10.70.0.1/24", name: "c", more: ["--listen-port", `${udpPort}`] }),
      gw1.join({ ...common, vip: "10.70.0.2/24", name: "gw1" }),
      gw2.join({ ...common, vip: "10.70.0.3/24", name: "gw2" }),
    ]);
    await c.peerUp("10.70.0.2");
    await c.peerUp("10.70.0.3");
    await gw1.peerUp("10.70.0.3");
    await isSeenAs(host, web4, router.publicAddress);
    await isSeenAs(host, web6, host6);
    const before = new Map(daemons.map((daemon) => [daemon, netState(daemon.host.netns)] as const));
    // In IPv4 and IPv6, to the LAN too.
    const talker = tryToGetOut(host, [web4, web6, "203.0.113.250", "192.168.10.1", lan6]);
    return { c, host, router, server, web, gw1, gw2, talker, before };
  },
  (step) => {
    step("without it everything gets out, and is seen", async (scene) => {
      await watch(scene);
      await tried(scene.talker);
      const { to } = await leaks(scene.router);
      for (const one of [web4, web6, "192.168.10.1"]) assert.ok(to.includes(one), `${one} in ${to}`);
    });

    step(
      "the tunnel first: a ping to oneself does not enter it, one to a peer does, and ssh both ways",
      async (scene) => {
        const { host, gw2, c } = scene;
        const sent = async () => (await c.stats()).txPackets;
        const at = await sent();
        assert.equal((await ping(host, "10.70.0.1")).received, 3);
        assert.equal(await sent(), at);
        assert.equal((await ping(host, "10.70.0.3")).received, 3);
        assert.ok((await sent()) > at);
        const ssh = [await secureShell(host), await secureShell(gw2.host)] as const;
        assert.equal(await ssh[0].reach(gw2.host, "10.70.0.1"), "10.70.0.3");
        assert.equal(await ssh[1].reach(host, "10.70.0.3"), "10.70.0.1");
      },
    );

    step("nobody who does not offer is used", async ({ c }) => {
      const cases: [string[], number, RegExp][] = [
        [["use", "gw1"], 1, /is no exit node\n.*on gw1: vpnctl exit-node offer/],
        [["use", "auto"], 1, /no exit node is up\n/],
        [["use", "nobody"], 1, /nobody/],
        [["use", ""], 2, /no peer named/],
        [["offer", "--to", "nobody"], 1, /nobody/],
      ];
      for (const [args, code, message] of cases) {
        const result = await c.ctl(["exit-node", ...args]);
        assert.equal(result.code, code, `${args.join(" ")}: ${result.stderr}`);
        assert.match(result.stderr, message);
      }
      assert.equal(await c.ok(["exit-node", "off"]), "exit node: off already\n");
      assert.match(await c.ok(["exit-node", "list"]), /^# no peer offers to be an exit node/);
    });

    step("offers are listed, and nothing is taken by default", async ({ c, host, router, gw1, gw2 }) => {
      const plan = await gw1.ok(["exit-node", "offer", "--dry-run"]);
      assert.match(
        plan,
        /^be an exit node to any peer\n(.*\n)*add nftables table inet vpnd-routes-vpn-default$/m,
      );
      assert.match(
        await gw1.ok(["exit-node", "offer"]),
        /^exit node for any peer in default\n# clients cannot/,
      );
      assert.match(
        await gw2.ok(["exit-node", "offer"]),
        /IPv6 is not carried: this machine does not forward/,
      );
      await offered(
        c,
        "10.70.0.2",
        (one) => one.ipv6 && one.seenAs.join() === `${gw1.host.address},${gw1.host.address6}`,
      );
      await offered(c, "10.70.0.3", (one) => !one.ipv6 && one.seenAs.join() === gw2.host.address);
      await isSeenAs(host, web4, router.publicAddress);
      await isSeenAs(host, web6, host6);
    });

    step(
      "one public host through the server, by a subnet route",
      async ({ c, gw1, host, router, server }) => {
        await gw1.ok(["routes", "offer", `${web4}/32`]);
        await waitFor(
          async () => /offered/.test(await c.ok(["routes", "list"])),
          20_000,
          "the route is offered",
        );
        await c.ok(["routes", "accept", "gw1", `${web4}/32`]);
        await isSeenAs(host, web4, gw1.host.address);
        await isSeenAs(host, web6, host6);
        assert.notEqual(router.publicAddress, gw1.host.address);
        await reachable(host, server.address);
        await c.ok(["routes", "reject", "all"]);
        await gw1.ok(["routes", "withdraw"]);
        await isSeenAs(host, web4, router.publicAddress);
      },
    );

    step(
      "used: the outside sees the exit's addresses, and nothing leaves beside the tunnel",
      async (scene) => {
        const { c, host, gw1 } = scene;
        const foreign = netState(host.netns);
        assert.match(await c.ok(["exit-node", "use", "gw1", "--dry-run"]), /^send all traffic through gw1$/m);
        assert.deepEqual(changed(foreign, netState(host.netns)), []);
        const { address, address6 } = gw1.host;
        assert.equal(
          await c.ok(["exit-node", "use", "gw1"]),
          `exit node: all traffic goes through gw1; the outside sees ${address} and ${address6}\n`,
        );
        await watch(scene);
        await isSeenAs(host, web4, address);
        await isSeenAs(host, web6, address6);
        assert.ok(((await assertTight(scene, "used")).tunnel ?? 0) > 0);
        for (const family of ["-4", "-6"]) {
          const { stdout, stderr } = await host.exec("ip", [family, "route", "show", "table", "vpnd"]);
          assert.match(stdout, /^default dev vpn-default/m, stderr);
        }
        const strange = changed(foreign, netState(host.netns)).filter(
          (line) =>
            !/vpn|nameserver|^[+-] #|5676|10\.70\.0|sport 68|src_valid_mark|fd6e:8a5c|0x0*100076|type filter hook prerouting priority mangle|^[+-] *[{}]?\t?[{}]?$/.test(
              line,
            ),
        );
        assert.deepEqual(strange, []);
        const [first] = (await c.json<Exits>(["exit-node", "list"])).exitNodes;
        assert.deepEqual([first?.name, first?.state], ["gw1", "active"]);
        assert.match(await c.ok(["footprint"]), /^rule +5620: not from all fwmark 0x100076 lookup 5676 /m);
        assert.match((await c.ctl(["leave"])).stderr, /exit node of network default\n.*exit-node off/);
      },
    );

    step("neighbours still learn the client's address", async ({ host, router }) => {
      await router.ip("neigh", "flush", "dev", "lan");
      // What peers send makes the router ask; only an answer, and no request of the client's own, makes it sure.
      await waitFor(
        async () => /REACHABLE/.test(await router.ip("neigh", "show", host.address, "dev", "lan")),
        60_000,
        "the router knows the client",
      );
    });

    step("the tunnel itself works as before, and LANs of the exit are not the Internet", async (scene) => {
      const { host, gw2 } = scene;
      await reachable(host, "10.70.0.3");
      await reachable(gw2.host, "10.70.0.1");
      const self = await ping(host, "10.70.0.1");
      assert.equal(self.received, self.sent);
      await isFiltered(host, "172.20.9.10");
    });

    step("the exit host itself is closed to clients, unless it is opened", async ({ host, gw1, web }) => {
      const listen = `require("node:net").createServer((s) => s.end("in\\n")).listen(7070, "::")`;
      const program = gw1.host.spawn("listen", process.execPath, ["-e", listen]);
      await gw1.host.listening(program, "tcp", 7070);
      const reach = async (from: Host, to: string) =>
        (await from.exec("timeout", ["3", "bash", "-c", `exec 3<>/dev/tcp/${to}/7070 && cat <&3`])).stdout;
      for (const to of ["10.70.0.2", gw1.host.address]) {
        assert.equal(await reach(host, to), "");
      }
      await waitFor(
        async () => (await reach(web, gw1.host.address)) === "in\n",
        20_000,
        "the outside gets in",
      );
      await gw1.ok(["exit-node", "offer", "--allow-host"]);
      await waitFor(async () => (await reach(host, "10.70.0.2")) === "in\n", 20_000, "the host is open");
      await gw1.ok(["exit-node", "offer"]);
      assert.equal(await reach(host, "10.70.0.2"), "");
      await program.stop();
    });

    step("switched to one without IPv6: that goes nowhere", async (scene) => {
      const { c, host, gw2 } = scene;
      await watch(scene);
      assert.match(await c.ok(["exit-node", "use", "gw2,gw1"]), /through gw2; .*\n# it carries no IPv6/);
      await isSeenAs(host, web4, gw2.host.address);
      assert.equal(await seenFrom(host, web6), "");
      await assertTight(scene, "switched");
    });

    step("another one takes over when it falls silent; when none is left, nothing leaves", async (scene) => {
      const { c, host, gw1, gw2 } = scene;
      await gw2.crash();
      await active(c, "10.70.0.2");
      await isSeenAs(host, web4, gw1.host.address);
      await isSeenAs(host, web6, gw1.host.address6);
      await assertTight(scene, "failed over");
      await gw1.ok(["exit-node", "withdraw"]);
      assert.equal((await active(c, undefined)).use?.reason?.code, "withdrawn");
      assert.equal(await seenFrom(host, web4), "");
      assert.match(await c.ok(["exit-node", "list"]), /nobody carries traffic .*; nothing leaves until/);
      await assertTight(scene, "none left");
      await gw1.ok(["exit-node", "offer"]);
      await gw2.start();
      await active(c, "10.70.0.3");
      await isSeenAs(host, web4, gw2.host.address);
      await assertTight(scene, "back");
    });

    step("down and up, kill -9 and start: not one packet, without a kill switch", async (scene) => {
      const { c, host, gw2 } = scene;
      await c.ok(["down"]);
      await assertTight(scene, "down");
      await c.ok(["up"]);
      await c.crash();
      await assertTight(scene, "killed");
      await c.start();
      await isSeenAs(host, web4, gw2.host.address);
      await assertTight(scene, "started again");
    });

    step("with the kill switch nothing leaves while vpnd is stopped; off lifts both", async (scene) => {
      const { c, host, gw1, router } = scene;
      await c.ok(["exit-node", "use", "gw1", "--kill-switch"]);
      await watch(scene);
      assert.match(await c.ok(["kill-switch", "status"]), /^kill switch: on/);
      assert.equal(await c.stop(), 0);
      await assertTight(scene, "stopped");
      await c.start();
      await isSeenAs(host, web4, gw1.host.address);
      await assertTight(scene, "started");
      assert.equal(await c.ok(["exit-node", "off"]), "exit node: off\n");
      assert.match(await c.ok(["kill-switch", "status"]), /^kill switch: off/);
      await isSeenAs(host, web4, router.publicAddress);
    });

    step("with --allow-lan the LAN is reached, but for look-ups", async (scene) => {
      const { c, host, gw1 } = scene;
      await c.ok(["exit-node", "use", "auto", "--allow-lan"]);
      await watch(scene, {
        dns: "ip daddr 192.168.10.0/24 meta l4proto { tcp, udp } th dport { 53, 853 }",
        lan: "ip daddr 192.168.10.0/24",
      });
      await reachable(host, "192.168.10.1");
      await isSeenAs(host, web4, gw1.host.address);
      const packets = await assertTight(scene, "with the LAN");
      assert.ok((packets.lan ?? 0) > 0);
      assert.equal(packets.dns, 0);
    });

    step("an offer to one peer is for nobody else", async ({ c, host, gw1, gw2 }) => {
      await c.ok(["exit-node", "use", "gw1"]);
      await gw1.ok(["exit-node", "offer", "--to", "gw2"]);
      await waitFor(async () => (await seenFrom(host, web4)) === "", 10_000, "the client is refused");
      await isFiltered(host, web4);
      await gw2.ok(["exit-node", "withdraw"]);
      await offered(gw2, "10.70.0.2");
      await gw2.ok(["exit-node", "use", "gw1"]);
      await isSeenAs(gw2.host, web4, gw1.host.address);
      await gw2.ok(["exit-node", "off"]);
      await gw1.ok(["exit-node", "offer", "--to", "c,gw2"]);
      await isSeenAs(host, web4, gw1.host.address);
      await isSeenAs(host, web6, gw1.host.address6);
    });

    step("off, stopped, or killed and cleaned up: every machine is as it was", async (scene) => {
      const { c, host, gw1, gw2, router, before } = scene;
      // A device that was made anew has another number.
      const lines = (daemon: Daemon): string[] => {
        const [had, now] = [before.get(daemon) ?? "", netState(daemon.host.netns)];
        return changed(had.replace(number, ""), now.replace(number, ""));
      };
      const number = /^\d+: (?=vpn-default)/gm;
      await c.ok(["exit-node", "off"]);
      await isSeenAs(host, web4, router.publicAddress);
      await isSeenAs(host, web6, host6);
      assert.deepEqual(lines(c), []);
      await gw1.ok(["exit-node", "withdraw"]);
      assert.deepEqual(lines(gw1), []);
      assert.deepEqual(lines(gw2), []);
      await gw1.ok(["exit-node", "offer"]);
      await offered(c, "10.70.0.2");
      await c.ok(["exit-node", "use", "gw1"]);
      await c.crash();
      assert.equal(await seenFrom(host, web4), "");
      const folders = ["--state-dir", c.stateDir, "--socket", c.socket];
      const { code, stderr } = await host.exec(join(repository, "bin/vpnd"), ["--cleanup", ...folders]);
      assert.equal(code, 0, stderr);
      const gone = /vpn-default|10\.70\.0/;
      assert.deepEqual(
        lines(c).filter((line) => !gone.test(line)),
        [],
      );
      await isSeenAs(host, web4, router.publicAddress);
      assert.equal(existsSync(join(routingNamesOf(host.netns), "rt_tables.d/vpnd.conf")), false);
      // What was decided is in force again.
      await c.start();
      await isSeenAs(host, web4, gw1.host.address);
      assert.equal(await c.stop(), 0);
      await isSeenAs(host, web4, router.publicAddress);
    });
  },
);
