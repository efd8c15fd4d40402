/** The contract of every carrier: start, MTU, backpressure, reconnect, half-open, stop, close, with the same assertions for each. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe } from "node:test";
import { type CarrierKind, carrierKinds, type End, type Ends, inner, makeEnds } from "../lab/carriers.js";
import { must, waitFor } from "../lab/command.js";
import type { Daemon } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping, reachable } from "../lab/traffic.js";

interface Scene extends Ends {
  join(daemon: Daemon): Promise<void>;
  before: ReadonlyMap<Daemon, string>;
}

interface NetworkDocument {
  carrier: string;
  state: string;
  device: string;
  mtu: number;
}

/** What vpnd may need more while it has nowhere to put packets, MiB. */
const mostGrowth = 32;
const floodBytes = 260_000_000;
const datagram = 1300;
/** More than a carrier may take to notice a silent end. */
const noticeMs = 60_000;
const backMs = 60_000;

const document = (daemon: Daemon): Promise<NetworkDocument> => daemon.json<NetworkDocument>(["network"]);

/** A member of a network. @param other virtual IP */
function member(daemon: Daemon, other: string): End {
  return {
    up: (deadlineMs) => daemon.peerUp(other, deadlineMs),
    async gone(deadlineMs) {
      const peer = await daemon.peer(
        other,
        ({ state, reason }) => state !== "up" && reason !== undefined,
        deadlineMs,
        "gone, with a reason",
      );
      assert.match(peer.reason?.code ?? "", /^[a-z-]+$/);
      assert.ok((peer.reason?.message ?? "").length > 5, JSON.stringify(peer));
    },
    network: () => document(daemon),
    leave: async () => void (await daemon.ok(["leave"])),
  };
}

/** MiB. */
function peakMemory(daemon: Daemon): number {
  const status = readFileSync(`/proc/${daemon.program.pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** The peak counts from now on (proc(5), clear_refs). */
async function forgetPeak(daemon: Daemon): Promise<number> {
  await must("sh", ["-c", `echo 5 > /proc/${daemon.program.pid}/clear_refs`]);
  return peakMemory(daemon);
}

/** A program that sends as fast as the device takes packets, and takes no notice of what becomes of them. */
async function flood(from: Daemon, to: string): Promise<void> {
  const count = Math.ceil(floodBytes / datagram);
  const command = `dd if=/dev/zero bs=${datagram} count=${count} status=none > /dev/udp/${to}/9`;
  const result = await from.host.exec("bash", ["-c", command], { timeoutMs: 180_000 });
  assert.equal(result.code, 0, result.stderr);
}

/** Descriptors and threads of vpnd, and its sockets of the Internet. */
async function holdings(daemon: Daemon): Promise<{ descriptors: number; threads: number; sockets: string }> {
  const { pid } = daemon.program;
  const { stdout } = await daemon.host.exec("ss", ["-Htunap"]);
  const sockets = stdout.split("\n").filter((line) => line.includes(`pid=${pid},`));
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    sockets: sockets.join("\n"),
  };
}

function contract(kind: CarrierKind): void {
  const address = kind.inner ?? inner;
  const end = ({ a, b }: Ends, daemon: Daemon): End =>
    daemon === b && kind.far !== undefined
      ? kind.far(b)
      : member(daemon, daemon === a ? address.b : address.a);
  const gone = (scene: Ends, daemon: Daemon): Promise<void> => end(scene, daemon).gone(noticeMs);
  const up = (scene: Ends, daemon: Daemon) => end(scene, daemon).up(backMs);

  labSuite<Scene>(
    `carrier-${kind.name}`,
    async (lab) => {
      const ends = await makeEnds(lab);
      const join = await kind.prepare(lab, ends);
      const before = new Map<Daemon, string>();
      for (const daemon of [ends.a, ends.b]) before.set(daemon, await snapshot(daemon.host));
      return { ...ends, join, before };
    },
    (step) => {
      step("start: two ends join, see each other over its path, and packets cross", async (scene) => {
        const { a, b, join } = scene;
        await join(a);
        await join(b);
        for (const daemon of [a, b]) {
          const peer = await up(scene, daemon);
          assert.equal(peer.path, kind.path);
          const { carrier, state } = await end(scene, daemon).network();
          assert.deepEqual({ carrier, state }, { carrier: kind.name, state: "up" });
        }
        assert.equal((await ping(a.host, address.b)).received, 3);
        assert.equal((await ping(b.host, address.a)).received, 3);
        const { rxPackets, txPackets } = await a.stats();
        assert.ok(rxPackets >= 6 && txPackets >= 6, JSON.stringify({ rxPackets, txPackets }));
      });

      step("MTU: what the device takes crosses whole, what is larger is refused here", async (scene) => {
        const { a, b } = scene;
        const { mtu } = await document(a);
        assert.equal((await end(scene, b).network()).mtu, mtu);
        for (const [from, to] of [
          [a, address.b],
          [b, address.a],
        ] as const) {
          const whole = await ping(from.host, to, { size: mtu - 28, dontFragment: true });
          assert.equal(whole.received, 3, whole.output);
          const over = await ping(from.host, to, { size: mtu - 27, dontFragment: true, count: 1 });
          assert.equal(over.received, 0, over.output);
          assert.match(over.output, /message too long/i);
          const copied = await copyFile(
            from.host,
            from === a ? b.host : a.host,
            to,
            from === a ? 3_000_000 : 500_000,
          );
          assert.equal(copied.receivedSha256, copied.sentSha256);
        }
      });

      step(
        "backpressure: a slow and then a blocked way costs no memory, and is as before behind it",
        async ({ a, b }, lab) => {
          // Nobody must answer the flood: an ICMP message would end it.
          await b.host.nft(
            "add table inet sink; add chain inet sink in { type filter hook input priority 0; }; add rule inet sink in udp dport 9 drop",
          );
          const before = await forgetPeak(a);
          await lab.shape(a.host, "5mbit");
          await flood(a, address.b);
          await must("tc", ["-n", a.host.netns, "qdisc", "del", "dev", "eth0", "root"]);
          await kind.silence(b);
          await flood(a, address.b);
          await kind.restore(b);
          const growth = peakMemory(a) - before;
          assert.ok(growth < mostGrowth, `grew by ${growth} MiB`);
          await reachable(a.host, address.b, backMs);
          const copied = await copyFile(a.host, b.host, address.b, 3_000_000);
          assert.equal(copied.receivedSha256, copied.sentSha256);
          await b.host.nft("delete table inet sink\n");
        },
      );

      step(
        "reconnect: the other end's stop, crash and start are made good without a command",
        async (scene) => {
          const { a, b } = scene;
          for (const [ends, other, virtualIp] of [
            ["stop", b, address.b],
            ["crash", b, address.b],
            ["crash", a, address.a],
          ] as const) {
            const stays = other === a ? b : a;
            if (ends === "stop") {
              assert.equal(await other.stop(), 0);
              await gone(scene, stays);
            } else {
              await other.crash();
            }
            await other.start();
            await reachable(stays.host, virtualIp, backMs);
            await up(scene, stays);
            await up(scene, other);
          }
        },
      );

      step("half-open: an end that vanishes without a word is noticed and comes back", async (scene) => {
        const { a, b } = scene;
        await kind.silence(b);
        await b.crash();
        await gone(scene, a);
        assert.equal((await ping(a.host, address.b, { count: 1, waitSeconds: 1 })).received, 0);
        await b.start();
        await kind.restore(b);
        await reachable(a.host, address.b, backMs);
        await up(scene, a);
      });

      step("stop: down takes the device away, the other end is told, up brings it back", async (scene) => {
        const { a, b } = scene;
        const { device } = await document(a);
        await a.ok(["down"]);
        assert.doesNotMatch(await a.host.ip("-br", "link"), new RegExp(device));
        await gone(scene, b);
        await a.ok(["down"]);
        await a.ok(["up"]);
        await reachable(b.host, address.a, backMs);
        await up(scene, a);
      });

      step("close: leave leaves nothing, and a second life no more than the first", async (scene) => {
        const { a, b, join, before } = scene;
        for (const daemon of [a, b]) {
          await end(scene, daemon).leave();
          await assertUnchanged(daemon.host, before.get(daemon) ?? "");
        }
        const first = await holdings(a);
        assert.equal(first.sockets, "");
        await join(a);
        await join(b);
        await reachable(a.host, address.b);
        for (const daemon of [a, b]) await end(scene, daemon).leave();
        await waitFor(
          async () => {
            const { descriptors, threads, sockets } = await holdings(a);
            return descriptors <= first.descriptors && threads <= first.threads && sockets === "";
          },
          20_000,
          "vpnd holds no more than before",
          async () => ({ first, now: await holdings(a) }),
        );
        for (const daemon of [a, b]) await assertUnchanged(daemon.host, before.get(daemon) ?? "");
      });
    },
  );
}

// Side by side: most of it is waiting for ends that are silent.
describe("carriers", { concurrency: carrierKinds.length }, () => {
  for (const kind of carrierKinds) contract(kind);
});
