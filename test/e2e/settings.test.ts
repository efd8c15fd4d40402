/** `vpnctl set` under traffic: another rendezvous server without a gap, another MTU, another port of a link. */
import assert from "node:assert/strict";
import { waitFor } from "../lab/command.js";
import type { Host } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { SteadyTcp } from "../lab/steady-tcp.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, reachable } from "../lab/traffic.js";

interface Scene {
  old: { host: Host; program: Running };
  fresh: Host;
  a: Daemon;
  b: Daemon;
  psk: string;
}

const at = (host: Host): string => `${host.address}:${iexPort}`;

labSuite<Scene>(
  "settings",
  async (lab) => {
    const [old, fresh] = [await lab.publicHost("old"), await lab.publicHost("fresh")];
    const program = await iexd(old);
    await iexd(fresh);
    const [a, b] = [await vpnd(await lab.publicHost("a")), await vpnd(await lab.publicHost("b"))];
    return { old: { host: old, program }, fresh, a, b, psk: await pskGenerate() };
  },
  (step) => {
    step("a mesh moves to another server, and its tunnel does not notice", async (scene, lab) => {
      const { old, fresh, a, b, psk } = scene;
      await a.join({ iex: at(old.host), psk, vip: "10.61.0.1/24", name: "a" });
      await b.join({ iex: at(old.host), psk, vip: "10.61.0.2/24", name: "b" });
      await reachable(a.host, "10.61.0.2");
      const steady = await SteadyTcp.start(a.host, b.host, "10.61.0.2");
      for (const daemon of [a, b]) await daemon.ok(["set", "--iex", at(fresh)]);
      await old.program.stop();
      const c = await vpnd(await lab.publicHost("c"));
      await c.join({ iex: at(fresh), psk, vip: "10.61.0.3/24", name: "c" });
      await Promise.all([c.peerUp("10.61.0.1"), c.peerUp("10.61.0.2"), a.peerUp("10.61.0.2")]);
      interface Network {
        state: string;
        servers: { address: string; state: string }[];
      }
      const { servers } = await waitFor(
        async () => {
          const network = await a.json<Network>(["network"]);
          return network.state === "up" && network.servers.every(({ state }) => state === "up") && network;
        },
        20_000,
        "the network and its server are up",
        () => a.json<Network>(["network"]),
      );
      assert.deepEqual(
        servers.map(({ address }) => address),
        [at(fresh)],
      );
      assert.equal((await steady.goesOn()).ended, undefined);
      steady.stop();
    });

    step("another MTU is there after a moment, with its peers", async ({ a, b }) => {
      await a.ok(["set", "--mtu", "1300"]);
      assert.match(await a.host.ip("link", "show", "vpn-default"), /mtu 1300/);
      await reachable(b.host, "10.61.0.1");
      const copied = await copyFile(b.host, a.host, "10.61.0.1", 1_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
      for (const daemon of [a, b]) await daemon.ok(["leave"]);
    });

    step("a link goes on at another port when both ends are told, on the same device", async ({ a, b }) => {
      const there = (port: number) => `${a.host.address}:${port}`;
      await a.ok(["join", "--tcp-listen", "55555", "--vip", "10.62.0.1/24"]);
      await b.ok(["join", "--tcp-connect", there(55_555), "--vip", "10.62.0.2/24"]);
      await reachable(b.host, "10.62.0.1");
      const index = async () => (await b.host.ip("-o", "link", "show", "vpn-default")).split(":")[0];
      const before = await index();
      await a.ok(["set", "--tcp-listen", "55556", "--name", "gamma"]);
      await b.ok(["set", "--tcp-connect", there(55_556)]);
      await reachable(b.host, "10.62.0.1");
      await b.peer("10.62.0.1", (peer) => peer.name === "gamma", 20_000, "by its new name");
      assert.equal(await index(), before);
    });
  },
);
