/** Where UDP does not pass, nobody waits for ever and everybody is told why. */
import assert from "node:assert/strict";
import type { Host } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";

interface Scene {
  server: Host;
  iex: string;
  psk: string;
  daemon?: Daemon;
}

labSuite<Scene>(
  "blocked",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    return { server, iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
  },
  (step) => {
    step("join behind a firewall that drops UDP ends with 8 and leaves nothing", async (scene, lab) => {
      const host = await lab.hostBehind("mute", await lab.router("r-mute", "blocked"));
      const daemon = await vpnd(host);
      const result = await daemon.ctl(
        daemon.joinArgs({ iex: scene.iex, psk: scene.psk, vip: "10.9.0.1/24", timeout: 3 }),
      );
      assert.equal(result.code, 8, result.stderr);
      assert.equal(result.stdout, "");
      assert.ok(result.stderr.trim().split("\n").length >= 2, `no hint: ${result.stderr}`);
      assert.doesNotMatch(await host.ip("-br", "link"), /vpn-/);
      assert.deepEqual(await networks(daemon), []);
    });

    step("peers says why a peer cannot be reached, on both ends", async (scene, lab) => {
      const router = await lab.router("r-near", "blocked", { allowUdpPort: iexPort });
      const blocked = await vpnd(await lab.hostBehind("near", router));
      const other = await vpnd(await lab.hostBehind("far", await lab.router("r-far", "port-restricted")));
      await Promise.all([
        blocked.join({ iex: scene.iex, psk: scene.psk, vip: "10.9.0.1/24" }),
        other.join({ iex: scene.iex, psk: scene.psk, vip: "10.9.0.2/24" }),
      ]);
      for (const [daemon, peer] of [
        // The larger virtual IP dials, the smaller one waits to be dialled.
        [other, "10.9.0.1"],
        [blocked, "10.9.0.2"],
      ] as const) {
        const seen = await daemon.peer(peer, (p) => p.reason !== undefined, 60_000, "with a reason");
        assert.notEqual(seen.state, "up");
        assert.equal(seen.path, "none");
        assert.match(seen.reason?.code ?? "", /^(udp-blocked|timeout)$/);
        assert.ok((seen.reason?.message ?? "").length > 10);
      }
    });

    step(
      "a server that is silent: exit 8; with --no-wait the network stays and tries on",
      async (scene, lab) => {
        const daemon = await vpnd(await lab.publicHost("lonely"));
        const options = { iex: `${scene.server.address}:9`, psk: scene.psk, vip: "10.9.0.7/24", timeout: 2 };
        assert.equal((await daemon.ctl(daemon.joinArgs(options))).code, 8);
        assert.deepEqual(await networks(daemon), []);
        await daemon.ok(daemon.joinArgs({ ...options, more: ["--no-wait"] }));
        const [network] = await networks(daemon);
        assert.equal(network?.state, "connecting");
      },
    );
  },
);

interface NetworkJson {
  name: string;
  state: string;
}

async function networks(daemon: Daemon): Promise<NetworkJson[]> {
  const document = await daemon.json<{ networks: NetworkJson[] }>(["networks"]);
  return document.networks;
}
