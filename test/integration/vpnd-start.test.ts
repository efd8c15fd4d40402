import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { VpnError } from "../../src/common/errors.js";
import { apiScene } from "./support/api-scene.js";
import { skip } from "./support/daemon.js";

const scene = apiScene();

const existsGroup = (): boolean => /^vpnd:/m.test(readFileSync("/etc/group", "utf8"));

test("a start is refused clearly", { skip }, async () => {
  const vpnd = await scene.bench.readyVpnd();
  const sameSocket = scene.bench.start("src/daemon/app/main.ts", [
    "--state-dir",
    join(scene.bench.folder, "other"),
    "--socket",
    scene.bench.socket,
  ]);
  assert.equal(await sameSocket.ended(), 1);
  assert.match(sameSocket.errors, /running already/);
  assert.ok(!existsSync(join(scene.bench.folder, "other")), "a refused start changed something");
  const sameState = scene.bench.start("src/daemon/app/main.ts", [
    "--state-dir",
    scene.bench.stateDir,
    "--socket",
    join(scene.bench.folder, "o.sock"),
  ]);
  assert.equal(await sameState.ended(), 1);
  assert.match(sameState.errors, /another vpnd uses/);
  assert.equal(statSync(scene.bench.socket).mode & 0o777, existsGroup() ? 0o660 : 0o600);
  scene.disconnect();
  await vpnd.stop("SIGKILL");
  assert.ok(existsSync(scene.bench.socket), "a killed vpnd leaves its socket");
  await scene.stop(await scene.bench.readyVpnd());

  const noGroup = scene.bench.vpnd("--socket-group", "no-such-group");
  assert.equal(await noGroup.ended(), 1);
  assert.match(noGroup.errors, /no group/);
  writeFileSync(scene.bench.socket, "");
  const noSocket = scene.bench.vpnd();
  assert.equal(await noSocket.ended(), 1);
  assert.match(noSocket.errors, /no socket/);
  const open = join(scene.bench.folder, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const wide = scene.bench.start("src/daemon/app/main.ts", [
    "--state-dir",
    open,
    "--socket",
    join(scene.bench.folder, "o.sock"),
  ]);
  assert.equal(await wide.ended(), 1);
  assert.match(wide.errors, /others may write/);
});

test("without privilege vpnd says so and ends with 4", { skip }, async () => {
  const main = new URL("../../src/daemon/app/main.ts", import.meta.url).pathname;
  const run = () =>
    execFileSync(
      "setpriv",
      ["--bounding-set=-net_admin", "--inh-caps=-all", process.execPath, "--import", "tsx", main],
      {
        stdio: "pipe",
        encoding: "utf8",
      },
    );
  assert.throws(run, (error) => {
    const { status, stderr } = error as { status: number; stderr: string };
    return status === 4 && /needs root/.test(stderr) && stderr.trim().split("\n").length === 2;
  });
});

test("a socket that somebody else holds open is left alone", { skip }, async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(scene.bench.socket, resolve));
  const vpnd = scene.bench.vpnd();
  assert.equal(await vpnd.ended(), 1);
  assert.ok(existsSync(scene.bench.socket));
  await new Promise((resolve) => server.close(resolve));
});

test("without IPv6 a network with IPv6 fails with a hint, one with IPv4 works", { skip }, async () => {
  execFileSync("ip", [
    "netns",
    "exec",
    scene.bench.netns,
    "sh",
    "-c",
    "echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6",
  ]);
  const vpnd = await scene.bench.readyVpnd();
  const before = scene.bench.snapshot();
  await assert.rejects(
    scene.join({ virtualIp: "fd00:7::1/64", noWait: true }),
    (error) => error instanceof VpnError && /IPv6/.test(error.hint ?? ""),
  );
  assert.equal(scene.bench.snapshot(), before);
  await scene.join({ noWait: true });
  await scene.stop(vpnd);
});
