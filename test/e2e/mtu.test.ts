/** A path that carries less than the device's MTU: found without ICMP, used, told to senders, and found again when it changes. */
import assert from "node:assert/strict";
import { waitFor } from "../lab/command.js";
import type { Router } from "../lab/lab.js";
import {
  type Daemon,
  iexd,
  iexPort,
  type PeerJson,
  type PeersJson,
  pskGenerate,
  vpnd,
} from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping } from "../lab/traffic.js";

interface Scene {
  iex: string;
  psk: string;
  router: Router;
  a: Daemon;
  b: Daemon;
}

const a4 = "10.7.0.1";
const b4 = "10.7.0.2";
const a6 = "fd00:7::1";
const b6 = "fd00:7::2";
/** Outer IP header, UDP header and record around an inner packet. */
const overhead = { 4: 62, 6: 82 };
const underlay = 1280;

const family = (endpoint: string | undefined): 4 | 6 => (endpoint?.startsWith("[") ? 6 : 4);

const isNarrow = (p: PeerJson): boolean =>
  p.state === "up" && p.mtu === underlay - overhead[family(p.endpoint)];

/** Waits until the daemon knows what the narrow path carries to its peer. */
async function narrow(daemon: Daemon, peer: string, deadlineMs: number): Promise<number> {
  const seen = await daemon.peer(peer, isNarrow, deadlineMs, "over the narrow path");
  return seen.mtu ?? 0;
}

const wide = (daemon: Daemon, peer: string) =>
  daemon.peer(peer, (p) => p.state === "up" && p.mtu === 1400, 20_000, "with the whole MTU");

/**
 * Datagrams over IPv4 through the router are cut, or refused when they must not be: with an ICMP error to those behind it, and in
 * silence to those outside.
 */
async function makeNarrow(router: Router): Promise<void> {
  const gateway = /default via (\S+)/.exec(await router.ip("route"))?.[1] ?? "";
  const mtu = ["mtu", "lock", String(underlay)];
  await router.nft(
    "table ip hole { chain out { type filter hook output priority 0;\n" +
      'oifname "wan" icmp type destination-unreachable drop\n}\n}\n',
  );
  await router.ip("route", "replace", "default", "via", gateway, "dev", "wan", ...mtu);
  await router.ip("route", "replace", router.subnet, "dev", "lan", ...mtu);
}

labSuite<Scene>(
  "mtu",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    const router = await lab.router("narrow", "filtered");
    const [a, b] = await Promise.all([
      vpnd(await lab.hostBehind("a", router)),
      vpnd(await lab.hostBehind("b", await lab.router("wide", "filtered"))),
    ]);
    return { iex: `${server.address}:${iexPort}`, psk: await pskGenerate(), router, a, b };
  },
  (step) => {
    step("a path that carries everything has the device's MTU", async ({ a, b, iex, psk }) => {
      await Promise.all([
        a.join({ iex, psk, vip: `${a4}/24`, name: "a" }),
        b.join({ iex, psk, vip: `${b4}/24`, name: "b" }),
      ]);
      await Promise.all([wide(a, b4), wide(b, a4)]);
      const full = await ping(a.host, b4, { size: 1372, dontFragment: true });
      assert.equal(full.received, full.sent, full.output);
      const text = await a.ctl(["network", "default"]);
      assert.match(text.stdout, /mtu: 1400 \(auto\)/);
      const peer = await a.ctl(["peer", b4]);
      assert.match(peer.stdout, /mtu: 1400\n/);
    });

    step("a connection outlives the path's becoming narrow", async ({ a, b, router }) => {
      for (const daemon of [a, b]) {
        const shape = [
          "qdisc",
          "add",
          "dev",
          "eth0",
          "root",
          "tbf",
          "rate",
          "40mbit",
          "burst",
          "32k",
          "latency",
          "50ms",
        ];
        assert.equal((await daemon.host.exec("tc", shape)).code, 0);
      }
      const copies = Promise.all([copyFile(a.host, b.host, b4, 30_000_000)]);
      await a.peer(b4, (p) => p.txBytes > 3_000_000, 30_000, "in the middle of a copy");
      await makeNarrow(router);
      const [copy] = await copies;
      assert.equal(copy.bytes, 30_000_000);
      assert.equal(copy.receivedSha256, copy.sentSha256);
      await narrow(a, b4, 30_000);
      for (const daemon of [a, b]) await daemon.host.exec("tc", ["qdisc", "del", "dev", "eth0", "root"]);
    });

    step("silence from outside is noticed while traffic flows", async ({ a, b }) => {
      const pings = b.host.spawn("ping", "ping", ["-n", "-q", "-i", "0.5", a4]);
      await Promise.all([narrow(a, b4, 40_000), narrow(b, a4, 40_000)]);
      await pings.stop();
    });

    step("a new session finds it within seconds", async ({ a, b }) => {
      await a.ok(["down"]);
      await a.ok(["up"]);
      await Promise.all([a.peerUp(b4), b.peerUp(a4)]);
      await Promise.all([narrow(a, b4, 15_000), narrow(b, a4, 15_000)]);
    });

    step("senders are told, and what may be cut is cut", async ({ a, b }) => {
      const mtu = await narrow(a, b4, 15_000);
      for (const [from, to] of [
        [a, b4],
        [b, a4],
      ] as const) {
        const patient = ["-n", "-c", "3", "-i", "0.2", "-w", "20"];
        const cut = await from.host.exec("ping", [...patient, "-M", "dont", "-s", "1360", to]);
        assert.match(cut.stdout, /3 received/, cut.stdout);
        const large = await ping(from.host, to, { size: 1360, dontFragment: true, count: 2 });
        assert.equal(large.received, 0);
        assert.match(large.output, new RegExp(`mtu ?= ?${mtu}`));
        const fits = await ping(from.host, to, { size: mtu - 28, dontFragment: true });
        assert.equal(fits.received, fits.sent, fits.output);
      }
    });

    step("TCP passes both ways, with an MSS that fits", async ({ a, b }) => {
      const mtu = await narrow(a, b4, 15_000);
      const match = "tcp flags & syn == syn tcp option maxseg size";
      for (const { host } of [a, b]) {
        await host.nft(
          `table inet mss { chain seen { type filter hook input priority 0;\n` +
            `iifname "vpn-*" ${match} ${mtu - 40} counter comment "fits"\n` +
            `iifname "vpn-*" ${match} > ${mtu - 40} counter comment "large"\n}\n}\n`,
        );
      }
      for (const [from, to, address] of [
        [a, b, b4],
        [b, a, a4],
      ] as const) {
        const copy = await copyFile(from.host, to.host, address, 5_000_000);
        assert.equal(copy.bytes, 5_000_000);
        assert.equal(copy.receivedSha256, copy.sentSha256);
      }
      for (const { host } of [a, b]) {
        const { stdout } = await host.exec("nft", ["list", "table", "inet", "mss"]);
        assert.match(stdout, /counter packets [1-9]\d* bytes \d+ comment "fits"/);
        assert.match(stdout, /counter packets 0 bytes 0 comment "large"/);
      }
    });

    step("IPv6 inside, whose senders may send 1280 bytes", async ({ a, b, iex, psk }) => {
      await Promise.all([
        a.join({ network: "six", iex, psk, vip: `${a6}/64`, name: "a6" }),
        b.join({ network: "six", iex, psk, vip: `${b6}/64`, name: "b6" }),
      ]);
      for (const [daemon, peer] of [
        [a, b6],
        [b, a6],
      ] as const) {
        await waitFor(
          async () => {
            const { peers } = await daemon.json<PeersJson>(["peers", "six"]);
            return peers.some((p) => p.virtualIp === peer && isNarrow(p));
          },
          30_000,
          `${daemon.host.name} sees ${peer} over the narrow path`,
        );
      }
      for (const [from, to, address] of [
        [a, b, b6],
        [b, a, a6],
      ] as const) {
        const least = await ping(from.host, address, { size: 1280 - 48, dontFragment: true });
        assert.equal(least.received, least.sent, least.output);
        const large = await ping(from.host, address, { size: 1340, dontFragment: true, count: 2 });
        assert.match(large.output, /mtu ?= ?1280/);
        const copy = await copyFile(from.host, to.host, address, 3_000_000);
        assert.equal(copy.receivedSha256, copy.sentSha256);
      }
    });
  },
);
