/** Two hosts that nobody can reach from outside find each other, whatever stands before them. */
import assert from "node:assert/strict";
import type { Host, Lab } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, iperf, ping, reachable } from "../lab/traffic.js";

interface Scene {
  iex: string;
  psk: string;
  pair?: Pair;
}

interface Pair {
  a: Daemon;
  b: Daemon;
}

async function joinPair(scene: Scene, hosts: [Host, Host], number: number): Promise<Pair> {
  const [a, b] = await Promise.all([vpnd(hosts[0]), vpnd(hosts[1])]);
  const net = `10.${number}.0`;
  await Promise.all([
    a.join({ iex: scene.iex, psk: scene.psk, vip: `${net}.1/24`, name: "a" }),
    b.join({ iex: scene.iex, psk: scene.psk, vip: `${net}.2/24`, name: "b" }),
  ]);
  await Promise.all([a.peerUp(`${net}.2`), b.peerUp(`${net}.1`)]);
  return { a, b };
}

async function behind(lab: Lab, name: string, kind: "port-restricted" | "filtered"): Promise<Host> {
  return lab.hostBehind(name, await lab.router(`r-${name}`, kind));
}

labSuite<Scene>(
  "nat",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    return { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
  },
  (step) => {
    step("both behind port-restricted NATs with the same private subnet", async (scene, lab) => {
      const hosts: [Host, Host] = [
        await behind(lab, "a1", "port-restricted"),
        await behind(lab, "b1", "port-restricted"),
      ];
      assert.equal(hosts[0].address, hosts[1].address);
      scene.pair = await joinPair(scene, hosts, 1);
      const peer = await scene.pair.a.peerUp("10.1.0.2");
      assert.equal(peer.path, "direct");
      assert.match(peer.endpoint ?? "", /^203\.0\.113\./);
      const results = await Promise.all([ping(hosts[0], "10.1.0.2"), ping(hosts[1], "10.1.0.1")]);
      assert.deepEqual(
        results.map((result) => result.received),
        [3, 3],
      );
    });

    step("TCP flows both ways and a 20 MB file arrives whole", async (scene) => {
      assert.ok(scene.pair);
      const a = scene.pair.a.host;
      const b = scene.pair.b.host;
      assert.ok((await iperf(a, b, "10.1.0.2", { seconds: 2 })) > 1e6);
      assert.ok((await iperf(a, b, "10.1.0.2", { seconds: 2, reverse: true })) > 1e6);
      for (const [from, to, address] of [
        [a, b, "10.1.0.2"],
        [b, a, "10.1.0.1"],
      ] as const) {
        const copy = await copyFile(from, to, address, 20_000_000);
        assert.equal(copy.bytes, 20_000_000);
        assert.equal(copy.receivedSha256, copy.sentSha256);
      }
    });

    step("stats and peers count that traffic", async (scene) => {
      assert.ok(scene.pair);
      const stats = await scene.pair.a.stats();
      assert.ok(stats.txBytes > 20_000_000, JSON.stringify(stats));
      assert.ok(stats.rxBytes > 20_000_000, JSON.stringify(stats));
      const peer = await scene.pair.a.peerUp("10.1.0.2");
      assert.ok(peer.txBytes > 20_000_000 && peer.rxBytes > 20_000_000, JSON.stringify(peer));
      assert.ok(peer.rttSeconds !== undefined && peer.rttSeconds > 0 && peer.rttSeconds < 10);
    });

    step("nothing of it was readable on the wire", async (scene, lab) => {
      assert.ok(scene.pair);
      const text = "plain-text-that-must-not-be-seen";
      const capture = lab.internet.spawn("tcpdump", "tcpdump", ["-i", "br0", "-l", "-A", "-n", "udp"]);
      await capture.until(() => capture.log.includes("listening on"), 10_000, "tcpdump listens");
      const pattern = Buffer.from(text).toString("hex").slice(0, 32);
      await scene.pair.a.host.exec("ping", ["-n", "-c", "3", "-i", "0.2", "-p", pattern, "10.1.0.2"]);
      await capture.until(() => capture.log.includes("UDP, length"), 10_000, "tcpdump shows the tunnel");
      await capture.stop();
      assert.ok(!capture.log.includes(text.slice(0, 8)));
    });

    step("one open, one behind a port-restricted NAT, either way round", async (scene, lab) => {
      for (const [number, openFirst] of [
        [2, true],
        [3, false],
      ] as const) {
        const open = await lab.publicHost(`open${number}`);
        const inner = await behind(lab, `in${number}`, "port-restricted");
        const { a, b } = await joinPair(scene, openFirst ? [open, inner] : [inner, open], number);
        assert.equal((await ping(a.host, `10.${number}.0.2`)).received, 3);
        assert.equal((await ping(b.host, `10.${number}.0.1`)).received, 3);
        await Promise.all([a.stop(), b.stop()]);
      }
    });

    step("both behind stateful firewalls without NAT", async (scene, lab) => {
      const hosts: [Host, Host] = [await behind(lab, "a4", "filtered"), await behind(lab, "b4", "filtered")];
      const { a, b } = await joinPair(scene, hosts, 4);
      await reachable(a.host, "10.4.0.2");
      await reachable(b.host, "10.4.0.1");
    });
  },
);
