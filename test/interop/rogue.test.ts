/**
 * A member that poses as a node already known: with its own key at that node's virtual IP, with that node's record, or between
 * two nodes with the PSK in its hands. Each is refused by pin, record or binding, and who was connected stays so.
 */
import assert from "node:assert/strict";
import { parsePsk } from "../../src/common/psk.js";
import { networkKeys } from "../../src/daemon/core/keys/schedule.js";
import { must } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";
import { RogueNode } from "./rogue-node.js";

const aIp = "10.70.0.1";
const bIp = "10.70.0.2";
const middlePort = 7007;

interface Scene {
  server: string;
  psk: string;
  a: Daemon;
  b: Daemon;
  aAt: string;
  bAt: string;
  rogueHost: Host;
}

labSuite<Scene>(
  "rogue",
  async (lab) => {
    const serverHost = await lab.publicHost("server");
    await iexd(serverHost);
    const [a, b, rogueHost] = await Promise.all([
      lab.publicHost("a").then((host) => vpnd(host)),
      lab.publicHost("b").then((host) => vpnd(host)),
      lab.publicHost("rogue"),
    ]);
    const server = `${serverHost.address}:${iexPort}`;
    const psk = await pskGenerate();
    await Promise.all([
      a.join({ iex: server, psk, vip: `${aIp}/24`, name: "a" }),
      b.join({ iex: server, psk, vip: `${bIp}/24`, name: "b" }),
    ]);
    const [seenByA, seenByB] = await Promise.all([a.peerUp(bIp), b.peerUp(aIp)]);
    assert.ok(seenByA.endpoint && seenByB.endpoint);
    return { server, psk, a, b, aAt: seenByB.endpoint, bAt: seenByA.endpoint, rogueHost };
  },
  (step) => {
    step("a known node's virtual IP with another key is refused, whoever dials", async (scene) => {
      const { server, psk, a, rogueHost, aAt } = scene;
      const asB = await RogueNode.start(rogueHost, { server, psk, claim: bIp, virtualIp: bIp, key: 11 });
      asB.dial(aAt);
      await asB.says((line) => line.refusal === "pinned", "is refused by a's pin");
      await a.program.until(() => a.program.log.includes("pinned to another node key"), 5_000, "a says why");
      assert.ok(!asB.lines.some((line) => line.type === "up"));
      await stillConnected(scene);
      await asB.stop();
      // As a, the smaller address, it waits to be dialled by b.
      const asA = await RogueNode.start(rogueHost, { server, psk, claim: aIp, virtualIp: aIp, key: 12 });
      await asA.says((line) => line.type === "failed" && line.refusal === "pinned", "is refused by b's pin");
      assert.ok(!asA.lines.some((line) => line.type === "up"));
      await stillConnected(scene);
      await asA.stop();
    });

    step("a captured node record does not help who lacks its key", async (scene) => {
      const { server, psk, rogueHost, aAt, bAt } = scene;
      const listener = await RogueNode.start(rogueHost, { server, psk, virtualIp: "10.70.0.66", key: 13 });
      listener.dial(bAt);
      const hello = await listener.says((line) => line.type === "hello", "hears b's hello");
      await listener.stop();
      assert.ok(hello.record !== undefined && hello.record.length > 100);
      const { record } = hello;
      const orders = { server, psk, claim: bIp, virtualIp: bIp, record, key: 13 };
      const replayer = await RogueNode.start(rogueHost, orders);
      replayer.dial(aAt);
      await replayer.says((line) => line.refusal === "bad-record", "is refused for its record");
      assert.ok(!replayer.lines.some((line) => line.type === "up"));
      await stillConnected(scene);
      await replayer.stop();
    });

    step("in the middle, with the PSK and the true hellos: refused by the binding", async (scene) => {
      const { a, b } = scene;
      const middle = await startMiddleman(scene);
      // b, the larger address, finds a listed at the middleman's endpoint and dials it there.
      await middle.until(
        () => middle.log.includes("dialler refused with 3") && middle.log.includes("target refused with 3"),
        60_000,
        "both refuse the hello as not of their handshake",
      );
      assert.match(middle.log, /dialler was given the other's hello/);
      assert.match(middle.log, /target was given the other's hello/);
      assert.doesNotMatch(middle.log, /took the hello/);
      for (const victim of [a, b]) {
        await victim.program.until(
          () => victim.program.log.includes("not of this handshake"),
          5_000,
          `${victim.host.name} says why`,
        );
      }
      await stillConnected(scene);
    });

    step("a node that can reach the other only through the middleman says so", async (scene) => {
      const { a, b } = scene;
      await b.crash();
      await b.host.nft(`table inet apart { chain in { type filter hook input priority 0;
        ip saddr ${a.host.address} drop; }; }`);
      await b.start();
      const seen = await b.peer(aIp, (peer) => peer.state === "refused", 60_000, "refused");
      assert.equal(seen.reason?.code, "signature");
      assert.match(seen.reason?.message ?? "", /middle/);
      assert.equal((await ping(b.host, aIp, { count: 2, waitSeconds: 1 })).received, 0);
      await b.host.nft("delete table inet apart");
      await b.peerUp(aIp, 60_000);
      await reachable(b.host, aIp, 30_000);
      await stillConnected(scene);
    });
  },
);

/** With each other, directly, at the endpoints that they had. */
async function stillConnected({ a, b, aAt, bAt }: Scene): Promise<void> {
  assert.equal((await a.peerUp(bIp)).endpoint, bAt);
  assert.equal((await b.peerUp(aIp)).endpoint, aAt);
  assert.equal((await ping(a.host, bIp)).received, 3);
  assert.equal((await ping(b.host, aIp)).received, 3);
}

/** It claims a's virtual IP to the server, and dials a as soon as somebody dials it. */
async function startMiddleman(scene: Scene): Promise<Running> {
  await must("make", ["-C", `${repository}/native`, "driver"], { timeoutMs: 240_000 });
  const { epoch } = networkKeys(parsePsk(Buffer.from(scene.psk), { badger: false }), false);
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const program = scene.rogueHost.spawn(
    "middleman",
    `${repository}/native/build/driver-plain`,
    ["--middleman"],
    {
      stdin: true,
    },
  );
  const orders = [
    `psk ${hex(epoch.dtlsPsk)}`,
    `identity ${hex(epoch.identityKey)}`,
    `listen ${middlePort}`,
    `target ${scene.aAt}`,
    `server ${scene.server}`,
    `heartbeat ${JSON.stringify({ VirtualIP: aIp })}`,
  ];
  program.stdin.write(`${orders.join("\n")}\n`);
  program.stdin.end();
  await program.until(() => program.log.includes("ready"), 10_000, "the middleman is ready");
  return program;
}
