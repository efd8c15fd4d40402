/** The same bytes arrive whatever the link, the packet threads and the crypto of either end are. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../lab/command.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, iperf, reachable } from "../lab/traffic.js";

interface Scene {
  a: Daemon;
  b: Daemon;
}

interface Details {
  threads: number;
  offloads: string[];
  crypto: string;
}

interface Stats {
  drops: Record<string, number>;
}

const addresses = ["10.8.0.1", "10.8.0.2"] as const;
const details = (daemon: Daemon) => daemon.json<Details>(["network"]);

/** Starts it anew with these lines in the section of the engine. */
async function restart(daemon: Daemon, lines: string): Promise<void> {
  const config = join(daemon.host.folder, "vpnd.toml");
  writeFileSync(config, `[engine]\n${lines}\n`);
  await daemon.stop();
  await daemon.start(["--config", config]);
}

/** Several connections at once each way, one whose bytes are compared each way, and nothing refused by cryptography. */
async function carries({ a, b }: Scene): Promise<void> {
  await Promise.all([reachable(a.host, addresses[1]), reachable(b.host, addresses[0])]);
  for (const [from, to, address] of [
    [a, b, addresses[1]],
    [b, a, addresses[0]],
  ] as const) {
    const copy = await copyFile(from.host, to.host, address, 40_000_000);
    assert.equal(copy.bytes, 40_000_000);
    assert.equal(copy.receivedSha256, copy.sentSha256);
    assert.ok((await iperf(from.host, to.host, address, { seconds: 1, streams: 6 })) > 0);
  }
  for (const daemon of [a, b]) {
    const { drops } = await daemon.json<Stats>(["stats"]);
    for (const reason of ["bad-tag", "malformed-record", "malformed-packet", "seal-error"])
      assert.equal(drops[reason] ?? 0, 0, reason);
  }
}

labSuite<Scene>(
  "offloads",
  async (lab) => {
    const server = await lab.publicHost("iex");
    await iexd(server);
    const psk = await pskGenerate();
    const iex = `${server.address}:${iexPort}`;
    const [a, b] = [await vpnd(await lab.publicHost("a")), await vpnd(await lab.publicHost("b"))];
    await Promise.all([
      a.join({ iex, psk, vip: `${addresses[0]}/24` }),
      b.join({ iex, psk, vip: `${addresses[1]}/24` }),
    ]);
    return { a, b };
  },
  (step) => {
    step("with all that this kernel has", async (scene) => {
      const { offloads, crypto } = await details(scene.a);
      assert.deepEqual(
        offloads.filter((name) => name !== "uso"),
        ["checksum", "tso", "udp-gso", "udp-gro"],
      );
      assert.notEqual(crypto, "");
      await carries(scene);
    });

    step("over a link without offloads", async (scene) => {
      for (const { host } of [scene.a, scene.b]) {
        const off = ["tso", "gso", "gro", "tx-udp-segmentation"].flatMap((name) => [name, "off"]);
        await must("ip", ["netns", "exec", host.netns, "ethtool", "-K", "eth0", ...off]);
      }
      await carries(scene);
    });

    step("OpenSSL on one end only", async (scene) => {
      await restart(scene.a, 'crypto = "openssl"');
      assert.match((await details(scene.a)).crypto, /OpenSSL/);
      await carries(scene);
    });

    step("two threads on one end, four with a queue each on the other", async (scene) => {
      await Promise.all([restart(scene.a, "threads = 2"), restart(scene.b, "threads = 4")]);
      assert.equal((await details(scene.a)).threads, 2);
      const four = await details(scene.b);
      assert.equal(four.threads, 4);
      assert.ok(four.offloads.includes("multi-queue"), four.offloads.join());
      await carries(scene);
    });
  },
);
