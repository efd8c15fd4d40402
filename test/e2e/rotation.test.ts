/** The PSK of a running mesh is changed node by node, and nobody notices; who missed it is shut out at the end, and told so. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import type { Lab } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { SteadyTcp } from "../lab/steady-tcp.js";
import { labSuite } from "../lab/suite.js";
import { ping } from "../lab/traffic.js";

interface Epoch {
  fingerprint: string;
  until?: string;
  peers: number;
  users: { virtualIp: string; name?: string }[];
}

interface PskStatus {
  network: string;
  epochs: Epoch[];
}

interface Mesh {
  daemons: Daemon[];
  vips: string[];
  keys: string[];
}

interface Scene {
  iex: string;
  mesh: Mesh;
  badger: Mesh;
}

const status = (daemon: Daemon) => daemon.json<PskStatus>(["psk", "status"]);

async function startMesh(lab: Lab, iex: string, tag: string, net: string, badger: boolean): Promise<Mesh> {
  const keys = badger ? [`first ${tag}`, `second ${tag}`] : [await pskGenerate(), await pskGenerate()];
  const hosts = [
    await lab.publicHost(`${tag}1`),
    await lab.hostBehind(`${tag}2`, await lab.router(`${tag}r2`, "port-restricted")),
    await lab.hostBehind(`${tag}3`, await lab.router(`${tag}r3`, "port-restricted")),
  ];
  const daemons = await Promise.all(hosts.map((host) => vpnd(host)));
  const vips = [11, 12, 13].map((last) => `${net}.${last}`);
  await Promise.all(
    daemons.map((daemon, index) =>
      daemon.join({ iex, psk: keys[0] ?? "", vip: `${vips[index]}/24`, name: `${tag}${index + 1}`, badger }),
    ),
  );
  for (const [index, daemon] of daemons.entries()) {
    for (const vip of vips) if (vip !== vips[index]) await daemon.peerUp(vip);
  }
  return { daemons, vips, keys };
}

function keyFile(daemon: Daemon, name: string, key: string): string {
  const path = join(daemon.host.folder, name);
  writeFileSync(path, `${key}\n`, { mode: 0o600 });
  return path;
}

function part(mesh: Mesh, index: number): { daemon: Daemon; vip: string } {
  const daemon = mesh.daemons[index];
  const vip = mesh.vips[index];
  if (daemon === undefined || vip === undefined) throw new Error(`the mesh has no node ${index}`);
  return { daemon, vip };
}

const setPsk = (daemon: Daemon, key: string, grace: string) =>
  daemon.ok(["psk", "set", "--psk-file", keyFile(daemon, "new.psk", key), "--grace", grace]);

/** Waits until all sessions of a node run under its preferred PSK. */
async function allOnPreferred(daemon: Daemon, peers: number, deadlineMs = 60_000): Promise<void> {
  await waitFor(
    async () => (await status(daemon)).epochs[0]?.peers === peers,
    deadlineMs,
    `all sessions of ${daemon.host.name} run under the preferred PSK`,
    () => daemon.program.log.slice(-1000),
  );
}

/** Node by node a new PSK while TCP flows, which does not end. */
async function rotate(mesh: Mesh): Promise<void> {
  const { daemon: first, vip: firstVip } = part(mesh, 0);
  const { daemon: second, vip: secondVip } = part(mesh, 1);
  const { daemon: third } = part(mesh, 2);
  const streams = [
    await SteadyTcp.start(third.host, first.host, firstVip),
    await SteadyTcp.start(third.host, second.host, secondVip),
  ];
  try {
    // The one that dials everybody first, so that nobody else knows the PSK that it prefers.
    for (const daemon of [third, first, second]) {
      await setPsk(daemon, mesh.keys[1] ?? "", "1h");
      for (const stream of streams) await stream.goesOn();
    }
    for (const { daemon } of [0, 1, 2].map((index) => part(mesh, index))) await allOnPreferred(daemon, 2);
    for (const stream of streams) {
      const count = await stream.goesOn();
      assert.equal(count.ended, undefined);
      console.log(`# longest time without an echo: ${count.longestGapMs} ms`);
    }
  } finally {
    for (const stream of streams) stream.stop();
  }
  const epochs = (await status(third)).epochs;
  assert.equal(epochs.length, 2);
  assert.deepEqual(epochs[0]?.users.map((user) => user.virtualIp).sort(), [firstVip, secondVip]);
  assert.equal(epochs[0]?.until, undefined);
  const left = Date.parse(epochs[1]?.until ?? "") - Date.now();
  assert.ok(left > 3_000_000 && left <= 3_600_000, `${left}`);
  const { networks } = await third.json<{ networks: { pskFingerprint: string }[] }>(["networks"]);
  assert.equal(networks[0]?.pskFingerprint, epochs[0]?.fingerprint);
}

/** One node misses the change: after the grace period both ends say so. */
async function shutOut(lab: Lab, iex: string, kind: "mesh" | "badger", mesh: Mesh): Promise<void> {
  const { daemon: third, vip: thirdVip } = part(mesh, 2);
  const { daemon: first } = part(mesh, 0);
  const { daemon: second, vip: secondVip } = part(mesh, 1);
  const net = thirdVip.slice(0, thirdVip.lastIndexOf("."));
  // It is dialled, by nodes that come to hold another PSK.
  const missed = await vpnd(await lab.publicHost(`missed-${kind}`));
  const vip = `${net}.4`;
  await missed.join({
    iex,
    psk: mesh.keys[1] ?? "",
    vip: `${vip}/24`,
    name: "missed",
    badger: kind === "badger",
  });
  await missed.peerUp(thirdVip);
  const third2 = kind === "badger" ? `third ${kind}` : await pskGenerate();
  for (const daemon of [first, second, third]) await setPsk(daemon, third2, "1h");
  for (const daemon of [first, second, third]) {
    await waitFor(
      async () => {
        const [preferred] = (await status(daemon)).epochs;
        return preferred?.peers === 2;
      },
      60_000,
      `${daemon.host.name} moved`,
    );
  }
  assert.equal((await ping(missed.host, thirdVip, { count: 1 })).received, 1, "in the grace period it works");
  for (const daemon of [first, second, third]) await setPsk(daemon, third2, "8s");
  await waitFor(async () => (await status(third)).epochs.length === 1, 30_000, "the grace period ends");
  await missed.peer(thirdVip, (peer) => peer.reason?.code === "wrong-psk", 60_000, "as wrong-psk");
  await third.peer(vip, (peer) => peer.reason?.code === "wrong-psk", 60_000, "as wrong-psk");
  assert.equal((await ping(missed.host, thirdVip, { count: 2, waitSeconds: 1 })).received, 0);
  assert.equal((await ping(third.host, secondVip, { count: 1 })).received, 1);
  const state = readFileSync(join(third.stateDir, "secrets", "default.json"), "utf8");
  await waitFor(
    () => !readFileSync(join(third.stateDir, "secrets", "default.json"), "utf8").includes("formerPsks"),
    5_000,
    "the old PSK leaves the disk",
    () => Object.keys(JSON.parse(state)),
  );
  await missed.stop();
}

labSuite<Scene>(
  "rotation",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server);
    const iex = `${server.address}:${iexPort}`;
    const [mesh, badger] = await Promise.all([
      startMesh(lab, iex, "n", "10.60.0", false),
      startMesh(lab, iex, "b", "10.61.0", true),
    ]);
    return { iex, mesh, badger };
  },
  (step) => {
    step("node by node a new PSK, and no connection ends, with and without --badger", async (scene) => {
      await Promise.all([rotate(scene.mesh), rotate(scene.badger)]);
    });

    step("the same again changes nothing; what is accepted survives a restart", async ({ mesh }) => {
      const { daemon } = part(mesh, 2);
      const before = await status(daemon);
      assert.match(await setPsk(daemon, mesh.keys[1] ?? "", "7d"), /prefers already/);
      await daemon.crash();
      await daemon.start();
      const after = await status(daemon);
      assert.deepEqual(
        after.epochs.map(({ fingerprint }) => fingerprint),
        before.epochs.map(({ fingerprint }) => fingerprint),
      );
      const drift = Date.parse(after.epochs[1]?.until ?? "") - Date.parse(before.epochs[1]?.until ?? "");
      assert.ok(Math.abs(drift) < 5_000, `${drift}`);
      await allOnPreferred(daemon, 2);
    });

    step(
      "a node that was off meanwhile comes back under the old PSK, and can then be moved",
      async ({ mesh, iex }, lab) => {
        const late = await vpnd(await lab.publicHost("late"));
        // It dials everybody, with a PSK that they only accept.
        await late.join({ iex, psk: mesh.keys[0] ?? "", vip: "10.60.0.19/24", name: "late" });
        for (const vip of mesh.vips) await late.peerUp(vip);
        const { daemon: third } = part(mesh, 2);
        const old = (await status(third)).epochs[1];
        assert.deepEqual(old?.users, [{ virtualIp: "10.60.0.19", name: "late" }]);
        // And one that is dialled by all of them, who try the new one first.
        const early = await vpnd(await lab.publicHost("early"));
        await early.join({ iex, psk: mesh.keys[0] ?? "", vip: "10.60.0.1/24", name: "early" });
        for (const vip of mesh.vips) await early.peerUp(vip);
        assert.equal((await status(early)).epochs.length, 1);
        await setPsk(early, mesh.keys[1] ?? "", "1h");
        await setPsk(late, mesh.keys[1] ?? "", "1h");
        for (const daemon of [late, early]) await allOnPreferred(daemon, 4);
        for (const daemon of [late, early]) {
          await daemon.ok(["leave"]);
          await daemon.stop();
        }
      },
    );

    step(
      "after the grace period a node that missed it is shut out: wrong-psk on both ends",
      async (scene, lab) => {
        const { iex, mesh, badger } = scene;
        await Promise.all([shutOut(lab, iex, "mesh", mesh), shutOut(lab, iex, "badger", badger)]);
      },
    );

    step("--grace 0 ends the old PSK at once; a wrong file changes nothing", async ({ mesh }) => {
      const { daemon } = part(mesh, 0);
      const before = await status(daemon);
      const bad = await daemon.ctl(["psk", "set", "--psk-file", keyFile(daemon, "bad.psk", "too weak")]);
      assert.equal(bad.code, 2);
      assert.match(bad.stderr, /too weak[\s\S]*psk generate/);
      assert.deepEqual(await status(daemon), before);
      assert.match(
        await daemon.ok(["psk", "rotate", "--out", join(daemon.host.folder, "made.psk"), "--grace", "0"]),
        /wrote the new key/,
      );
      const after = await status(daemon);
      assert.equal(after.epochs.length, 1);
      assert.notEqual(after.epochs[0]?.fingerprint, before.epochs[0]?.fingerprint);
      const made = readFileSync(join(daemon.host.folder, "made.psk"), "utf8").trim();
      assert.ok(!daemon.program.log.includes(made));
      for (const key of mesh.keys) assert.ok(!daemon.program.log.includes(key));
    });
  },
);
