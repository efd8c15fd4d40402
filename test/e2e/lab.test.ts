/** The lab itself: a NAT that is not what it says would make every other test worthless. */
import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { must, waitFor } from "../lab/command.js";
import { type Host, type Lab, type Router, repository } from "../lab/lab.js";
import { assertUnchanged, difference, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, iperf, ping } from "../lab/traffic.js";
import { UdpPuppet } from "../lab/udp-puppet.js";

interface Scene {
  servers: [Host, Host];
  puppets: [UdpPuppet, UdpPuppet];
}

const port = 5000;

labSuite<Scene>(
  "lab",
  async (lab) => {
    const servers: [Host, Host] = [await lab.publicHost("one"), await lab.publicHost("two")];
    const puppets: [UdpPuppet, UdpPuppet] = [
      await UdpPuppet.start(servers[0], port),
      await UdpPuppet.start(servers[1], port),
    ];
    return { servers, puppets };
  },
  (step) => {
    /** Sends to both servers from behind a router and tells how each of them sees the sender. */
    async function seenBy(scene: Scene, inner: Host, name: string) {
      const puppet = await UdpPuppet.start(inner, port);
      const [one, two] = scene.servers;
      puppet.send(one.address, port, `${name}-to-one`);
      puppet.send(two.address, port, `${name}-to-two`);
      const views = await Promise.all([
        scene.puppets[0].receive(`${name}-to-one`),
        scene.puppets[1].receive(`${name}-to-two`),
      ]);
      return { puppet, views };
    }

    /** A datagram from an address that the inner host never wrote to; a welcome one sent afterwards marks the end. */
    async function unsolicited(
      scene: Scene,
      lab: Lab,
      name: string,
      router: Router,
      puppet: UdpPuppet,
      seenPort: number,
      target: string,
    ): Promise<boolean> {
      const stranger = await UdpPuppet.start(await lab.publicHost(`${name}-x`), port);
      stranger.send(target, seenPort, `${name}-stranger`);
      // The stranger's packets are on their way before the answer below is asked for.
      stranger.send(scene.servers[0].address, port, `${name}-sent`);
      await scene.puppets[0].receive(`${name}-sent`);
      scene.puppets[0].send(target, seenPort, `${name}-answer`);
      assert.deepEqual(await puppet.receive(`${name}-answer`), {
        address: scene.servers[0].address,
        port,
      });
      assert.ok(router.publicAddress);
      return puppet.received(`${name}-stranger`) !== undefined;
    }

    step("port-restricted NATs keep the port and refuse the unsolicited", async (scene, lab) => {
      const router = await lab.router("nat1", "port-restricted");
      const inner = await lab.hostBehind("in1", router);
      assert.equal(inner.address, "192.168.10.10");
      const { puppet, views } = await seenBy(scene, inner, "restricted");
      assert.deepEqual(views, [
        { address: router.publicAddress, port },
        { address: router.publicAddress, port },
      ]);
      assert.equal(
        await unsolicited(scene, lab, "restricted", router, puppet, port, router.publicAddress),
        false,
      );
    });

    step("a port is kept even if a stranger knocked first", async (scene, lab) => {
      const router = await lab.router("nat2", "port-restricted");
      const inner = await lab.hostBehind("in2", router);
      scene.puppets[0].send(router.publicAddress, port, "knock");
      scene.puppets[0].send(scene.servers[1].address, port, "knocked");
      await scene.puppets[1].receive("knocked");
      const { views } = await seenBy(scene, inner, "knocked-upon");
      assert.deepEqual(views[0], { address: router.publicAddress, port });
    });

    step("symmetric NATs map each destination to another port", async (scene, lab) => {
      const router = await lab.router("nat3", "symmetric");
      const inner = await lab.hostBehind("in3", router);
      const { puppet, views } = await seenBy(scene, inner, "symmetric");
      assert.equal(views[0]?.address, router.publicAddress);
      assert.notEqual(views[0]?.port, views[1]?.port);
      const seen = views[0]?.port ?? 0;
      assert.equal(
        await unsolicited(scene, lab, "symmetric", router, puppet, seen, router.publicAddress),
        false,
      );
    });

    step("filtered routers keep addresses and refuse the unsolicited", async (scene, lab) => {
      const router = await lab.router("fw", "filtered");
      const inner = await lab.hostBehind("in4", router);
      const { puppet, views } = await seenBy(scene, inner, "filtered");
      assert.deepEqual(views[0], { address: inner.address, port });
      assert.equal(await unsolicited(scene, lab, "filtered", router, puppet, port, inner.address), false);
    });

    step("open routers let everything in", async (scene, lab) => {
      const router = await lab.router("open", "open");
      const inner = await lab.hostBehind("in5", router);
      const { puppet, views } = await seenBy(scene, inner, "open");
      assert.deepEqual(views[0], { address: inner.address, port });
      assert.equal(await unsolicited(scene, lab, "open", router, puppet, port, inner.address), true);
    });

    step("a gateway keeps its address, whoever joins the segment", async (_, lab) => {
      const address = async (): Promise<string> =>
        /ether ([0-9a-f:]{17})/.exec(await lab.internet.ip("link", "show", "br0"))?.[1] ?? "";
      const before = await address();
      await lab.internet.ip("link", "set", "w1", "address", "02:00:00:00:00:01");
      assert.match(before, /^02/);
      assert.equal(await address(), before);
    });

    step("blocked routers drop UDP but not ICMP", async (scene, lab) => {
      const router = await lab.router("nat6", "blocked", { allowUdpPort: 9944 });
      const inner = await lab.hostBehind("in6", router);
      const server = await UdpPuppet.start(scene.servers[0], 9944);
      const puppet = await UdpPuppet.start(inner, port);
      puppet.send(scene.servers[0].address, port, "blocked");
      puppet.send(scene.servers[0].address, 9944, "allowed");
      await server.receive("allowed");
      assert.equal(scene.puppets[0].received("blocked"), undefined);
      const ping = await inner.exec("ping", ["-c", "1", "-W", "2", scene.servers[1].address]);
      assert.equal(ping.code, 0, ping.stdout);
    });

    step("ping, iperf3 and copies measure what they say", async (scene) => {
      const [one, two] = scene.servers;
      assert.equal((await ping(one, two.address)).received, 3);
      assert.equal((await ping(one, "203.0.113.200", { count: 1, waitSeconds: 1 })).received, 0);
      assert.ok((await iperf(one, two, two.address, { seconds: 1 })) > 1e6);
      assert.ok((await iperf(one, two, two.address, { seconds: 1, reverse: true })) > 1e6);
      const copy = await copyFile(one, two, two.address6, 5_000_000);
      assert.equal(copy.bytes, 5_000_000);
      assert.equal(copy.receivedSha256, copy.sentSha256);
    });

    step("a snapshot shows a link, an address and a rule that were left", async (scene) => {
      const [host] = scene.servers;
      const before = await snapshot(host);
      await assertUnchanged(host, before);
      await host.ip("rule", "add", "fwmark", "1", "lookup", "100");
      assert.notDeepEqual(difference(before, await snapshot(host)), []);
      await host.ip("rule", "del", "fwmark", "1", "lookup", "100");
      await assertUnchanged(host, before);
    });

    step("an interrupted lab removes its namespaces and programs", async (_scene, lab) => {
      const script = [
        `const { Lab } = await import("${repository}/test/lab/lab.ts");`,
        'const lab = await Lab.create("interrupted");',
        'const host = await lab.publicHost("victim");',
        'const program = host.spawn("sleep", "sleep", ["600"]);',
        'process.stdout.write("pid " + program.pid + " built\\n");',
        "setInterval(() => undefined, 1000);",
      ].join("\n");
      const loader = `${repository}/node_modules/tsx/dist/loader.mjs`;
      const args = ["--import", loader, "--input-type=module", "-e", script];
      const program = lab.internet.spawn("inner-lab", process.execPath, args);
      await program.until(() => program.log.includes(" built"), 20_000, "the inner lab is built");
      const inner = Number(/pid (\d+) built/.exec(program.log)?.[1]);
      assert.ok(existsSync(`/proc/${inner}`));
      program.kill("SIGINT");
      assert.equal(await program.ended(), 130);
      assert.ok(!(await must("ip", ["netns", "list"])).includes(`vl${program.pid}-`));
      await waitFor(() => !existsSync(`/proc/${inner}`), 5_000, "its program is gone");
      rmSync(`${repository}/.test-logs/interrupted`, { recursive: true });
    });
  },
);
