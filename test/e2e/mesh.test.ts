/** Three nodes and one that speaks only the paper's JSON: maps, purges, strangers and names already taken. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, type JoinOptions, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { ping } from "../lab/traffic.js";

const psk = "a psk as people type it";

interface Scene {
  iex: string;
  daemons: Daemon[];
  paper?: { host: Host; node: Running };
}

const vip = (index: number) => `10.20.0.${index + 1}`;

function joinOptions(scene: Scene, index: number): JoinOptions {
  return { iex: scene.iex, psk, badger: true, vip: `${vip(index)}/24`, name: `n${index + 1}` };
}

labSuite<Scene>(
  "mesh",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    const daemons = await Promise.all([
      lab.router("r1", "port-restricted").then(async (router) => vpnd(await lab.hostBehind("n1", router))),
      lab.router("r2", "filtered").then(async (router) => vpnd(await lab.hostBehind("n2", router))),
      lab.publicHost("n3").then((host) => vpnd(host)),
    ]);
    return { iex: `${server.address}:${iexPort}`, daemons };
  },
  (step) => {
    step("three nodes reach each other in all pairs", async (scene) => {
      await Promise.all(scene.daemons.map((daemon, index) => daemon.join(joinOptions(scene, index))));
      for (const [index, daemon] of scene.daemons.entries())
        for (const other of scene.daemons.keys()) {
          if (other === index) continue;
          await daemon.peerUp(vip(other));
          assert.equal((await ping(daemon.host, vip(other), { count: 2 })).received, 2);
        }
    });

    step("peers, network, status and stats have the promised JSON", async (scene) => {
      const [first] = scene.daemons;
      assert.ok(first);
      for (const command of ["peers", "network", "networks", "status", "stats"]) {
        const args = command === "network" ? ["network", "default"] : [command];
        const text = await first.ok(["--json", ...args]);
        assert.match(text, new RegExp(`^\\{\\s*"schema":\\s*"vpnctl\\.${command}/v1"`), text.slice(0, 80));
      }
      const peers = await first.peers();
      assert.equal(peers.self.virtualIp.split("/")[0], vip(0));
      assert.equal(peers.self.device, "vpn-default");
      assert.deepEqual(peers.peers.map((peer) => peer.virtualIp).sort(), [vip(1), vip(2)]);
    });

    step("a packet for an address that nobody has is counted and refused by ICMP", async (scene) => {
      const [first] = scene.daemons;
      assert.ok(first);
      const result = await ping(first.host, "10.20.0.99", { count: 3, waitSeconds: 1 });
      assert.equal(result.received, 0);
      assert.match(result.output, /[Uu]nreachable/);
      interface NetworkDocument {
        unknownDestinations?: { address: string; packets: number }[];
      }
      const seen = await waitFor(
        async () => {
          const document = await first.json<NetworkDocument>(["network", "default"]);
          return document.unknownDestinations?.find((entry) => entry.address === "10.20.0.99");
        },
        10_000,
        "network default lists the unknown address",
        () => first.json(["network", "default"]),
      );
      assert.ok(seen.packets >= 3, JSON.stringify(seen));
      const { drops } = await first.stats();
      assert.ok(
        Object.values(drops).some((count) => count >= 3),
        JSON.stringify(drops),
      );
    });

    step("the same join again is no error, another one is", async (scene) => {
      const [first] = scene.daemons;
      assert.ok(first);
      const again = await first.ctl(first.joinArgs(joinOptions(scene, 0)));
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stdout + again.stderr, /already joined/);
      const other = await first.ctl(first.joinArgs({ ...joinOptions(scene, 0), vip: "10.20.0.50/24" }));
      assert.equal(other.code, 1);
      assert.match(other.stderr, /set/);
      assert.equal((await first.peers()).self.virtualIp.split("/")[0], vip(0));
    });

    step("a virtual IP that another holds: exit 1, and the holder is named", async (scene, lab) => {
      const daemon = await vpnd(await lab.publicHost("twin"));
      const result = await daemon.ctl(
        daemon.joinArgs({ ...joinOptions(scene, 2), name: "twin", timeout: 60 }),
        { timeoutMs: 90_000 },
      );
      assert.equal(result.code, 1, `${result.stdout}${result.stderr}`);
      assert.ok(result.stderr.includes(vip(2)), result.stderr);
      const holder = scene.daemons[2]?.host.address ?? "?";
      assert.ok(result.stderr.includes(holder) || result.stderr.includes("n3"), result.stderr);
      assert.doesNotMatch(await daemon.host.ip("-br", "link"), /vpn-/);
      await daemon.stop();
      // The twin has been heard by the others, and must not have displaced the holder for good.
      await scene.daemons[0]?.peerUp(vip(2), 60_000);
    });

    step("a node that speaks only the paper's JSON sees and is seen", async (scene, lab) => {
      const host = await lab.publicHost("paper");
      const loader = join(repository, "node_modules/tsx/dist/loader.mjs");
      const script = join(repository, "test/interop/paper-node.ts");
      const args = ["--import", loader, script, scene.iex, "10.20.0.9"];
      const node = host.spawn("paper", process.execPath, args);
      await node.until(
        () => scene.daemons.every((_, index) => node.log.includes(`"${vip(index)}"`)),
        20_000,
        "the paper's node has a map with all nodes",
      );
      for (const daemon of scene.daemons) await daemon.peer("10.20.0.9", () => true, 15_000, "in its map");
      scene.paper = { host, node };
    });

    step("a node that falls silent is purged after 30 s", async (scene) => {
      assert.ok(scene.paper, "the paper's node was not seen before");
      scene.paper.node.kill("SIGKILL");
      await scene.paper.node.ended();
      for (const daemon of scene.daemons) await daemon.peerGone("10.20.0.9", 50_000);
    });

    step("a node that leaves takes its tunnel with it, and the rest lives on", async (scene) => {
      const [first, second, third] = scene.daemons;
      assert.ok(first && second && third);
      await third.ok(["leave"]);
      assert.doesNotMatch(await third.host.ip("-br", "link"), /vpn-/);
      await waitFor(
        async () => {
          const { peers } = await first.peers();
          return !peers.some((peer) => peer.virtualIp === vip(2) && peer.state === "up");
        },
        15_000,
        "the first one sees that the third has left",
      );
      assert.equal((await ping(first.host, vip(1))).received, 3);
    });
  },
);
