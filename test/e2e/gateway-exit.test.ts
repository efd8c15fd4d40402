/**
 * All traffic through a gateway: what the outside sees, whom names are asked of, and that nothing leaves beside the WebSocket,
 * counted on the other side of the client's wire.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import { type Router, repository } from "../lab/lab.js";
import { leaks, tried, tryToGetOut, watchLeaks } from "../lab/leaks.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, vpnd } from "../lab/programs.js";
import { isSeenAs, publicWeb, web4, web6 } from "../lab/public-web.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { giveResolvConf, readResolvConf } from "../support/resolv-conf.js";

interface Scene {
  c: Daemon;
  gw: Daemon;
  router: Router;
  dns: Running;
  talker: Running;
  before: string;
}

interface Exits {
  exitNodes: { virtualIp: string; name?: string; state: string; ipv4: boolean; ipv6: boolean }[];
  use?: { active?: { virtualIp: string } };
}

const port = 8080;
const [lan6, host6] = ["2001:db8:99::1", "2001:db8:99::10"];
const answer = "192.0.2.80";
/** Nobody is there. */
const resolvConf = "nameserver 203.0.113.250\noptions timeout:1 attempts:1\n";
const gatewayIp = "10.91.0.1";

const list = (c: Daemon): Promise<Exits> => c.json<Exits>(["exit-node", "list"]);

async function looksUp({ c }: Scene, name: string): Promise<void> {
  let last = "";
  await waitFor(
    async () => {
      const { stdout } = await c.host.exec("timeout", ["10", "getent", "ahostsv4", name]);
      last = stdout.split(/\s/)[0] ?? "";
      return last === answer;
    },
    30_000,
    `${name} is ${answer}`,
    () => last,
  );
}

const watch = ({ router, gw }: Scene): Promise<void> =>
  watchLeaks(router, "p1", { tunnel: `ip daddr ${gw.host.address} tcp dport ${port}` });

/** Not one packet beside the WebSocket since `watch`, while programs tried. */
async function assertTight({ talker, router }: Scene, when: string): Promise<void> {
  await tried(talker);
  const { packets, to } = await leaks(router);
  assert.equal(packets.strange, 0, `${when}: ${JSON.stringify(packets)} to ${to}`);
}

labSuite<Scene>(
  "gateway-exit",
  async (lab) => {
    const web = await publicWeb(lab);
    const script = join(repository, "test/lab/dns-server.ts");
    const loader = join(repository, "node_modules/tsx/dist/loader.mjs");
    const dns = web.spawn("dns", process.execPath, ["--import", loader, script, web4, "example.com", answer]);
    await dns.until(() => dns.log.includes("listening"), 20_000, "the DNS server listens");
    const router = await lab.router("r", "port-restricted");
    const host = await lab.hostBehind("c", router);
    await router.ip("addr", "add", `${lan6}/64`, "dev", "lan");
    await host.ip("addr", "add", `${host6}/64`, "dev", "eth0");
    await host.ip("-6", "route", "add", "default", "via", lan6);
    const number = router.publicAddress.split(".")[3];
    await lab.internet.ip("-6", "route", "add", "2001:db8:99::/64", "via", `2001:db8::${number}`);
    // The strictest check of sources that there is.
    await host.sysctl("net.ipv4.conf.all.rp_filter", "1");
    giveResolvConf(host.netns, resolvConf);
    const [gw, c] = await Promise.all([vpnd(await lab.publicHost("gw")), vpnd(host)]);
    await gw.ok(["gateway", "start", "--open", "--listen", `0.0.0.0:${port}`, "--dns", web4]);
    const before = await snapshot(host);
    await c.ok(["join", "--gateway", `ws://${gw.host.address}:${port}/`]);
    const talker = tryToGetOut(host, [web4, web6, "203.0.113.250", "192.168.10.1", lan6]);
    return { c, gw, router, dns, talker, before };
  },
  (step) => {
    step("it offers itself, and nothing goes by way of it unasked", async (scene) => {
      const { c, router } = scene;
      await isSeenAs(c.host, web4, router.publicAddress);
      await isSeenAs(c.host, web6, host6);
      const { exitNodes } = await list(c);
      assert.deepEqual(
        exitNodes.map(({ virtualIp, name, state, ipv4, ipv6 }) => ({ virtualIp, name, state, ipv4, ipv6 })),
        [{ virtualIp: gatewayIp, name: "gateway", state: "offered", ipv4: true, ipv6: true }],
      );
      for (const args of [
        ["exit-node", "offer"],
        ["routes", "offer", "192.168.10.0/24"],
      ]) {
        const refused = await c.ctl(args);
        assert.equal(refused.code, 1, refused.stderr);
        assert.match(refused.stderr, /a gateway takes no offers/);
      }
      await watch(scene);
      await tried(scene.talker);
      const { to } = await leaks(router);
      for (const one of [web4, web6, "192.168.10.1"]) assert.ok(to.includes(one), `${one} in ${to}`);
    });

    step(
      "used, the outside sees the gateway, in both families, and its resolvers are asked",
      async (scene) => {
        const { c, gw, dns } = scene;
        assert.match(
          await c.ok(["exit-node", "use", "gateway", "--dry-run"]),
          /send all traffic through gateway/,
        );
        assert.match(await c.ok(["network"]), /nothing goes by way of the gateway/);
        assert.match(await c.ok(["exit-node", "use", "gateway"]), /all traffic goes through gateway/);
        assert.doesNotMatch(await c.ok(["network"]), /nothing goes by way/);
        await watch(scene);
        await isSeenAs(c.host, web4, gw.host.address);
        await isSeenAs(c.host, web6, gw.host.address6);
        assert.match(readResolvConf(c.host.netns), new RegExp(`^nameserver ${web4}$`, "m"));
        await looksUp(scene, "www.example.com");
        assert.match(dns.log, new RegExp(`^${gw.host.address} asks for A www\\.example\\.com$`, "m"));
        await assertTight(scene, "used");
        const refused = await c.ctl(["leave"]);
        assert.match(refused.stderr, /first: vpnctl exit-node off/);
      },
    );

    step("while the gateway is away nothing leaves, and it goes on when it is back", async (scene) => {
      const { c, gw } = scene;
      await gw.crash();
      await waitFor(async () => (await list(c)).use?.active === undefined, 60_000, "it is away");
      await assertTight(scene, "away");
      await gw.start();
      await isSeenAs(c.host, web4, gw.host.address);
      await assertTight(scene, "back");
    });

    step("killed, nothing leaves; started again, it goes on", async (scene) => {
      const { c, gw } = scene;
      await c.crash();
      await assertTight(scene, "killed");
      await c.start();
      await isSeenAs(c.host, web4, gw.host.address);
      await isSeenAs(c.host, web6, gw.host.address6);
      await looksUp(scene, "again.example.com");
      await c.ok(["down"]);
      await assertTight(scene, "down");
      await c.ok(["up"]);
      await isSeenAs(c.host, web4, gw.host.address);
      await assertTight(scene, "up");
    });

    step("with the kill switch nothing leaves after a stop either", async (scene) => {
      const { c, gw } = scene;
      await c.ok(["exit-node", "use", "gateway", "--kill-switch"]);
      assert.equal(await c.stop(), 0);
      await assertTight(scene, "stopped");
      await c.start();
      await isSeenAs(c.host, web4, gw.host.address);
      await assertTight(scene, "started");
    });

    step("off, the machine is as it was", async (scene) => {
      const { c, router, before } = scene;
      await c.ok(["exit-node", "off"]);
      await isSeenAs(c.host, web4, router.publicAddress);
      await isSeenAs(c.host, web6, host6);
      assert.equal(readResolvConf(c.host.netns), resolvConf);
      await c.ok(["leave"]);
      await assertUnchanged(c.host, before);
    });
  },
);
