/** Devices that are there already, full-size packets in fragments, and IPv6 underneath. */
import assert from "node:assert/strict";
import type { Host } from "../lab/lab.js";
import { iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping } from "../lab/traffic.js";

interface Scene {
  server: Host;
  iex: string;
}

labSuite<Scene>(
  "device",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    return { server, iex: `${server.address}:${iexPort}` };
  },
  (step) => {
    step("a persistent TUN is used by --device and outlives the network", async (scene, lab) => {
      const psk = await pskGenerate();
      const [a, b] = await Promise.all([
        lab.publicHost("a1").then((host) => vpnd(host)),
        lab.publicHost("b1").then((host) => vpnd(host)),
      ]);
      await a.host.ip("tuntap", "add", "dev", "mytun", "mode", "tun");
      // Otherwise the kernel itself turns it to "random" when a TUN first has a carrier, and keeps that.
      await a.host.sysctl("net.ipv6.conf.mytun.addr_gen_mode", "1");
      const before = await snapshot(a.host);
      await Promise.all([
        a.join({ iex: scene.iex, psk, vip: "10.50.0.1/24", device: "mytun" }),
        b.join({ iex: scene.iex, psk, vip: "10.50.0.2/24" }),
      ]);
      assert.equal((await a.peers()).self.device, "mytun");
      await Promise.all([a.peerUp("10.50.0.2"), b.peerUp("10.50.0.1")]);
      assert.equal((await ping(b.host, "10.50.0.1")).received, 3);
      await a.ok(["leave"]);
      assert.match(await a.host.ip("-br", "link", "show", "mytun"), /mytun/);
      await assertUnchanged(a.host, before);
    });

    step("a persistent TAP is given back without what a link set in it", async (_scene, lab) => {
      const host = await lab.publicHost("t1");
      const daemon = await vpnd(host);
      await host.ip("tuntap", "add", "dev", "mytap", "mode", "tap");
      await host.sysctl("net.ipv6.conf.mytap.addr_gen_mode", "1");
      const before = await snapshot(host);
      // What was asked for but cannot be had is forgotten by the kernel at each opening.
      const offloads = async () =>
        (await host.exec("ethtool", ["-k", "mytap"])).stdout.replaceAll(" [requested on]", "");
      const flags = () => host.ip("tuntap", "show");
      const [plain, kind] = [await offloads(), await flags()];
      const join = ["join", "--tap", "--tcp-listen", "55555", "--vip", "10.53.0.1/24", "--device", "mytap"];
      const isAsBefore = async () => {
        assert.equal(await offloads(), plain);
        assert.equal(await flags(), kind);
        await assertUnchanged(host, before);
      };
      await daemon.ok(join);
      assert.match(await flags(), /vnet_hdr/);
      await daemon.ok(["leave"]);
      await isAsBefore();
      // A killed one's, too.
      await daemon.ok(join);
      await daemon.crash();
      assert.match(await flags(), /vnet_hdr/);
      await daemon.start();
      await daemon.ok(["leave"]);
      await isAsBefore();
    });

    step("MTU 1500 with --badger: full-size packets cross in fragments", async (scene, lab) => {
      const common = { iex: scene.iex, psk: "badger", badger: true, mtu: 1500 };
      const [a, b] = await Promise.all([
        lab.publicHost("a2").then((host) => vpnd(host)),
        lab.router("r2", "port-restricted").then(async (router) => vpnd(await lab.hostBehind("b2", router))),
      ]);
      await Promise.all([
        a.join({ ...common, vip: "10.51.0.1/24" }),
        b.join({ ...common, vip: "10.51.0.2/24" }),
      ]);
      await Promise.all([a.peerUp("10.51.0.2"), b.peerUp("10.51.0.1")]);
      assert.match(await a.host.ip("link", "show", "vpn-default"), /mtu 1500/);
      for (const [from, to] of [
        [a.host, "10.51.0.2"],
        [b.host, "10.51.0.1"],
      ] as const) {
        const result = await ping(from, to, { size: 1472, dontFragment: true });
        assert.equal(result.received, 3, result.output);
      }
      const copy = await copyFile(a.host, b.host, "10.51.0.2", 5_000_000);
      assert.equal(copy.bytes, 5_000_000);
      assert.equal(copy.receivedSha256, copy.sentSha256);
    });

    step("IPv6 between nodes and to the server", async (scene, lab) => {
      const psk = await pskGenerate();
      const iex = `[${scene.server.address6}]:${iexPort}`;
      const hosts = [
        await lab.hostBehind("a3", await lab.router("ra3", "filtered")),
        await lab.hostBehind("b3", await lab.router("rb3", "filtered")),
      ] as const;
      const [a, b] = await Promise.all([vpnd(hosts[0]), vpnd(hosts[1])]);
      await Promise.all([
        a.join({ iex, psk, vip: "10.52.0.1/24" }),
        b.join({ iex, psk, vip: "10.52.0.2/24" }),
      ]);
      const peer = await a.peerUp("10.52.0.2");
      await b.peerUp("10.52.0.1");
      assert.match(peer.endpoint ?? "", /^\[2001:db8:/);
      assert.equal((await ping(a.host, "10.52.0.2")).received, 3);
      assert.equal((await ping(b.host, "10.52.0.1", { size: 1300 })).received, 3);
    });
  },
);
