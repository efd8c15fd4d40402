import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { VpnError } from "../../src/common/errors.js";
import { NetworkService } from "../../src/common/gen/vpnd/v1/network_pb.js";
import type { Connection } from "../../src/common/grpc/client.js";
import { Bench, until } from "./support/daemon.js";

const skip = process.getuid?.() === 0 ? false : "needs root for network namespaces and mounts";
let bench: Bench;
let connection: Connection;

/** The state folder is a file system of its own, so that it can be full or read-only. */
beforeEach(() => {
  if (skip) return;
  bench = new Bench();
  mkdirSync(bench.stateDir, { mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs", bench.stateDir]);
});
afterEach(async () => {
  if (skip) return;
  connection?.close();
  execFileSync("umount", ["-l", bench.stateDir]);
  await bench.close();
});

const joinNetwork = () =>
  connection.service(NetworkService).join({
    noWait: true,
    carrier: {
      case: "mesh",
      value: { iex: ["127.0.0.1:9944"], virtualIp: "10.7.0.1/16", psk: Buffer.from("5a".repeat(32)) },
    },
  });
const cannotWrite = (why: RegExp) => (error: unknown) =>
  error instanceof VpnError &&
  error.code === "failed" &&
  why.test(error.message) &&
  (error.hint ?? "") !== "";

test("on a full disk a join fails clearly and leaves nothing; later it works", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  connection = bench.connect();
  const before = bench.snapshot();
  const filler = join(bench.stateDir, "filler");
  const { bavail, bsize } = statfsSync(bench.stateDir);
  writeFileSync(filler, Buffer.alloc(bavail * bsize));
  await assert.rejects(joinNetwork(), cannotWrite(/no space left/));
  assert.equal(bench.snapshot(), before);
  for (const folder of ["networks", "secrets", "peers"]) {
    assert.deepEqual(readdirSync(join(bench.stateDir, folder)), []);
  }
  rmSync(filler);
  await joinNetwork();
  // A network that is up can be left although nothing can be written.
  writeFileSync(filler, Buffer.alloc(statfsSync(bench.stateDir).bavail * bsize));
  await connection.service(NetworkService).leave({});
  assert.equal(bench.snapshot(), before);
  assert.equal(await vpnd.stop(), 0);
});

test("on a read-only disk a join fails clearly and leaves nothing", { skip }, async () => {
  const vpnd = await bench.readyVpnd();
  connection = bench.connect();
  const before = bench.snapshot();
  // The daemon has a mount namespace of its own, in which the change is made. The config is what is written last.
  const configs = join(bench.stateDir, "networks");
  const mount = (...args: string[]) =>
    execFileSync("nsenter", ["-t", `${vpnd.child.pid}`, "-m", "mount", ...args]);
  mount("--bind", configs, configs);
  mount("-o", "remount,bind,ro", configs);
  await assert.rejects(joinNetwork(), cannotWrite(/read-only file system/));
  assert.equal(bench.snapshot(), before);
  for (const folder of ["networks", "secrets", "peers"]) {
    assert.deepEqual(readdirSync(join(bench.stateDir, folder)), []);
  }
  assert.equal(await vpnd.stop(), 0);
});

test("SIGTERM during a start ends it with nothing left", { skip }, async () => {
  const first = await bench.readyVpnd();
  connection = bench.connect();
  const before = bench.snapshot();
  await joinNetwork();
  assert.equal(await first.stop(), 0);
  const second = bench.vpnd();
  await until(
    () => second.output.includes("network started") || second.child.exitCode !== null,
    "a started network",
  );
  assert.equal(await second.stop(), 0);
  assert.equal(bench.snapshot(), before);
  assert.match(readFileSync(join(bench.stateDir, "networks/default.json"), "utf8"), /"up": true/);
});
