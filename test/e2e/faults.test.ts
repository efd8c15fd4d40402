/** What the machine can do to vpnd: a clear error, nothing lost, no half state. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { must, type Result, waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, difference, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";

interface Scene {
  a: Daemon;
  b: Daemon;
  iex: string;
  psk: string;
  before: string;
}
interface Networks {
  networks: { network: string; state: string; reason?: { code: string; message: string } }[];
}

/** Two lines on standard error: what happened, and what to do. */
function assertFails(result: Result, code: number, what: RegExp): void {
  assert.equal(result.code, code, result.stdout + result.stderr);
  assert.match(result.stderr, what);
  assert.equal(result.stderr.trimEnd().split("\n").length, 2, result.stderr);
}

async function tunnelWorks(host: Host, to: string): Promise<void> {
  assert.equal((await ping(host, to, { count: 3 })).received, 3);
}

/** Runs a command in the mount namespace of a program. */
const within = (program: Running, command: string, ...args: string[]) =>
  must("nsenter", ["-t", String(program.pid), "-m", command, ...args]);

const cleanupArgs = (daemon: Daemon) => [
  "--cleanup",
  "--state-dir",
  daemon.stateDir,
  "--socket",
  daemon.socket,
];

/** A file system that can be full or read-only; unmounted when the test ends, however it ends. */
async function smallDisk(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "vd-disk-"));
  await must("mount", ["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", folder]);
  process.once("exit", () => {
    execFileSync("umount", ["-l", folder]);
    rmdirSync(folder);
  });
  return folder;
}

function fill(folder: string): () => void {
  const file = join(folder, "filler");
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(file, Buffer.alloc(bavail * bsize));
  return () => rmSync(file);
}

labSuite<Scene>(
  "faults",
  async (lab) => {
    const server = await lab.publicHost("server");
    const hosts = [await lab.publicHost("a"), await lab.publicHost("b")] as const;
    await iexd(server);
    const a = new Daemon(hosts[0]);
    // A small disk of its own for the state, so that it can be full or read-only.
    symlinkSync(await smallDisk(), a.stateDir);
    const before = await snapshot(hosts[0]);
    const b = await vpnd(hosts[1]);
    await a.start();
    const iex = `${server.address}:${iexPort}`;
    const psk = await pskGenerate();
    await a.join({ iex, psk, vip: "10.90.0.1/24", name: "a" });
    await b.join({ iex, psk, vip: "10.90.0.2/24", name: "b" });
    await reachable(hosts[0], "10.90.0.2");
    return { a, b, iex, psk, before };
  },
  (step) => {
    const second = (scene: Scene) =>
      scene.a.ctl(
        scene.a.joinArgs({
          iex: scene.iex,
          psk: scene.psk,
          vip: "10.91.0.1/24",
          network: "second",
          more: ["--no-wait"],
        }),
      );
    const names = async ({ a }: Scene) =>
      (await a.json<Networks>(["networks"])).networks.map((one) => `${one.network} ${one.state}`);

    step("more connections than vpnd has descriptors do not stop it", async (scene) => {
      const { a } = scene;
      await must("prlimit", ["--pid", String(a.program.pid), "--nofile=1024:1024"]);
      const crowd: Socket[] = [];
      for (let i = 0; i < 1_100; i++) crowd.push(connect(a.socket).on("error", () => {}));
      try {
        const settled = () => crowd.every((socket) => socket.readyState !== "opening");
        await waitFor(settled, 30_000, "1,100 connections are made or refused");
        // It is turned away in words, or at once while too many others are.
        const { code, stderr } = await a.ctl(["networks"]);
        const [wanted, words] = code === 1 ? [1, /no connection free/] : [7, /does not answer/];
        assert.equal(code, wanted, stderr);
        assert.match(stderr, words);
        await tunnelWorks(a.host, "10.90.0.2");
        const open = readdirSync(`/proc/${a.program.pid}/fd`).length;
        assert.ok(open < 512, `${open} descriptors are in use`);
      } finally {
        for (const socket of crowd) socket.destroy();
      }
      await waitFor(async () => (await a.ctl(["status"])).code === 0, 30_000, "vpnd answers again");
    });

    step("whatever a join lacks a descriptor for, it fails clearly and leaves nothing", async (scene) => {
      const { a } = scene;
      const now = await snapshot(a.host);
      const used = () => new Set(readdirSync(`/proc/${a.program.pid}/fd`).map(Number));
      await waitFor(() => used().size < 64, 30_000, "connections of the step before are closed");
      const limit = (soft: number) =>
        must("prlimit", ["--pid", String(a.program.pid), `--nofile=${soft}:1024`]);
      /** The least limit that leaves so many descriptors. */
      const limitFor = (free: number): number => {
        const taken = used();
        let soft = 0;
        for (let found = 0; found < free; soft++) if (!taken.has(soft)) found++;
        return soft;
      };
      let failures = 0;
      for (let room = 1; ; room++) {
        assert.ok(room < 64, "a join never succeeds");
        await limit(limitFor(room));
        const result = await second(scene);
        await limit(1024);
        if (result.code === 0) break;
        failures++;
        const about = `room for ${room}: ${result.stderr}`;
        assert.equal(result.stderr.trimEnd().split("\n").length, 2, about);
        assert.match(result.stderr, /descriptor|does not answer|too many open files/);
        assert.deepEqual(await names(scene), ["default up"], about);
        assert.deepEqual(difference(now, await snapshot(a.host)), [], about);
        assert.ok(!existsSync(join(a.stateDir, "secrets/second.json")), about);
      }
      assert.ok(failures > 3, `only ${failures} joins failed`);
      await tunnelWorks(a.host, "10.90.0.2");
      await a.ok(["leave", "second"]);
      await assertUnchanged(a.host, now);
    });

    step("/dev/net/tun is taken away: what runs goes on, what starts says why", async (scene) => {
      const { a } = scene;
      const now = await snapshot(a.host);
      await within(a.program, "mount", "--bind", "/dev/null", "/dev/net/tun");
      assertFails(await second(scene), 1, /\/dev\/net\/tun|TUN/);
      await assertUnchanged(a.host, now);
      assert.deepEqual(await names(scene), ["default up"]);
      await tunnelWorks(a.host, "10.90.0.2");
      await a.ok(["down"]);
      assertFails(await a.ctl(["up"]), 1, /\/dev\/net\/tun|TUN/);
      assert.deepEqual(await names(scene), ["default down"]);
      await within(a.program, "umount", "/dev/net/tun");
      await a.ok(["up"]);
      await reachable(a.host, "10.90.0.2", 60_000);
      const args = ["--state-dir", `${a.stateDir}-other`, "--socket", `${a.socket}-other`];
      const start = `mount --bind /dev/null /dev/net/tun && exec ${repository}/bin/vpnd "$@"`;
      assertFails(
        await a.host.exec("unshare", ["-m", "sh", "-c", start, "sh", ...args]),
        1,
        /there is no \/dev\/net\/tun/,
      );
    });

    step("on a full disk nothing is lost, and kill -9 is cleaned up", async (scene) => {
      const { a, before } = scene;
      const empty = fill(a.stateDir);
      assertFails(await second(scene), 1, /no space left/);
      assertFails(await a.ctl(["down"]), 1, /no space left/);
      assert.deepEqual(await names(scene), ["default up"]);
      await tunnelWorks(a.host, "10.90.0.2");
      await a.crash();
      assert.equal((await a.host.exec(`${repository}/bin/vpnd`, cleanupArgs(a))).code, 0);
      await assertUnchanged(a.host, before);
      await a.start();
      // It cannot write what it would do, so it does nothing.
      await waitFor(
        async () => (await names(scene)).join() === "default error",
        20_000,
        "the network says that it has no room",
      );
      const [network] = (await a.json<Networks>(["networks"])).networks;
      assert.match(network?.reason?.message ?? "", /no space left/);
      await assertUnchanged(a.host, before);
      empty();
      await a.ok(["up"]);
      await reachable(a.host, "10.90.0.2", 60_000);
    });

    step("with a read-only state folder, too", async (scene) => {
      const { a, before } = scene;
      const now = await snapshot(a.host);
      const folder = realpathSync(a.stateDir);
      await within(a.program, "mount", "--bind", folder, folder);
      await within(a.program, "mount", "-o", "remount,bind,ro", folder);
      assertFails(await second(scene), 1, /read-only file system/);
      assertFails(await a.ctl(["down"]), 1, /read-only file system/);
      assertFails(await a.ctl(["leave"]), 1, /read-only file system/);
      assert.deepEqual(await names(scene), ["default up"]);
      await assertUnchanged(a.host, now);
      await tunnelWorks(a.host, "10.90.0.2");
      await a.crash();
      const freeze = `mount --bind ${folder} ${folder} && mount -o remount,bind,ro ${folder} && exec "$@"`;
      const frozen = ["-m", "sh", "-c", freeze, "sh", `${repository}/bin/vpnd`, ...cleanupArgs(a)];
      const result = await a.host.exec("unshare", frozen);
      assert.equal(result.code, 0, result.stderr);
      await assertUnchanged(a.host, before);
      await a.start();
      await reachable(a.host, "10.90.0.2", 60_000);
    });

    step("damaged keys spoil one network, which is kept and said", async (scene) => {
      const { a, before } = scene;
      const file = join(a.stateDir, "secrets/default.json");
      const good = readFileSync(file, "utf8");
      await a.stop();
      for (const bad of ["", good.slice(0, good.length / 2), "\0".repeat(100), '{"version":1}']) {
        writeFileSync(file, bad, { mode: 0o600 });
        await a.start();
        const { networks } = await a.json<Networks>(["networks"]);
        assert.deepEqual(
          networks.map((one) => [one.network, one.state, one.reason?.code]),
          [["default", "error", "damaged-state"]],
        );
        assert.ok(networks[0]?.reason?.message.includes(file));
        assertFails(await a.ctl(["up"]), 1, /secrets\/default\.json/);
        await a.stop();
        assert.equal(readFileSync(file, "utf8"), bad);
        await assertUnchanged(a.host, before);
      }
      writeFileSync(file, good, { mode: 0o600 });
      await a.start();
      await reachable(a.host, "10.90.0.2", 60_000);
    });

    step("the wall clock jumps by years in both directions", async (scene) => {
      const { a } = scene;
      const clock = join(a.host.folder, "clock");
      const hook = fileURLToPath(new URL("clock-jump.mjs", import.meta.url));
      writeFileSync(clock, "0");
      await a.stop();
      process.env.NODE_OPTIONS = `--import ${hook}`;
      process.env.VPND_TEST_CLOCK = clock;
      try {
        await a.start();
      } finally {
        delete process.env.NODE_OPTIONS;
        delete process.env.VPND_TEST_CLOCK;
      }
      await reachable(a.host, "10.90.0.2", 60_000);
      const year = 365 * 86_400_000;
      for (const offset of [10 * year, -10 * year, 0]) {
        writeFileSync(clock, String(offset));
        const { started } = await a.json<{ started: string }>(["status"]);
        assert.ok(!Number.isNaN(Date.parse(started)));
        await tunnelWorks(a.host, "10.90.0.2");
        assert.equal((await second(scene)).code, 0);
        await a.ok(["leave", "second"]);
        await a.ok(["down"]);
        await a.ok(["up"]);
        await reachable(a.host, "10.90.0.2", 60_000);
        const peer = await a.peerUp("10.90.0.2");
        assert.ok((peer.rttSeconds ?? 0) < 60, `round trip of ${peer.rttSeconds} s`);
        await a.ok(["peers"]);
      }
    });

    step("the machine's uptime is another after a restart", async ({ a }) => {
      await a.stop();
      const args = ["--state-dir", a.stateDir, "--socket", a.socket];
      const shifted = [
        "-T",
        "--boottime",
        "90000000",
        "--monotonic",
        "90000000",
        "--fork",
        "--kill-child=TERM",
      ];
      const program = a.host.spawn("vpnd-later", "unshare", [...shifted, `${repository}/bin/vpnd`, ...args]);
      await program.until(async () => (await a.ctl(["status"])).code === 0, 20_000, "vpnd answers");
      await reachable(a.host, "10.90.0.2", 60_000);
      // unshare hands no signal on.
      const [child] = readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, "utf8").split(" ");
      process.kill(Number(child), "SIGTERM");
      await program.ended();
      await waitFor(async () => (await a.ctl(["status"])).code === 3, 20_000, "vpnd has ended");
      await a.start();
      await reachable(a.host, "10.90.0.2", 60_000);
      assert.equal(await a.stop(), 0);
    });
  },
);
