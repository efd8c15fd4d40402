import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { apiScene } from "./support/api-scene.js";
import { skip } from "./support/daemon.js";

const scene = apiScene();

/** Names and contents of all files below a folder. */
function filesIn(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry): [string, string] => {
      const path = join(entry.parentPath, entry.name);
      return [path, readFileSync(path, "utf8")];
    })
    .sort();
}

test("an existing TUN device is used, and given back as it was; --cleanup does that after kill -9", {
  skip,
}, async () => {
  scene.bench.ip("tuntap", "add", "dev", "tun7", "mode", "tun");
  scene.bench.ip("link", "set", "tun7", "mtu", "1300");
  scene.bench.ip("addr", "add", "198.51.100.1/24", "dev", "tun7");
  const before = scene.bench.snapshot();
  const offloads = (): string =>
    scene.bench.inside("ethtool", "-k", "tun7").replaceAll(" [requested on]", "");
  const plain = offloads();
  const first = await scene.bench.readyVpnd();
  await scene.join({ device: "tun7", noWait: true });
  assert.match(offloads(), /tx-tcp-segmentation: on/);
  assert.match(scene.bench.ip("addr", "show", "dev", "tun7"), /mtu 1400[\s\S]*10\.7\.0\.10\/16/);
  const refused = scene.bench.vpnd("--cleanup");
  assert.equal(await refused.ended(), 1);
  assert.match(refused.errors, /another vpnd uses the state folder/);
  await scene.stop(first);
  assert.equal(scene.bench.snapshot(), before);
  assert.equal(offloads(), plain);

  const second = await scene.bench.readyVpnd();
  assert.notEqual(scene.bench.snapshot(), before);
  scene.disconnect();
  await second.stop("SIGKILL");
  assert.notEqual(scene.bench.snapshot(), before);
  const [machine, files] = [scene.bench.snapshot(), filesIn(scene.bench.stateDir)];
  const dry = scene.bench.vpnd("--cleanup", "--dry-run");
  assert.equal(await dry.ended(), 0, dry.errors);
  assert.match(dry.output, /restore tun7: down, mtu 1300/);
  assert.equal(scene.bench.snapshot(), machine);
  assert.deepEqual(filesIn(scene.bench.stateDir), files);
  const sockets = [scene.bench.socket, join(dirname(scene.bench.socket), "metrics.sock")];
  assert.deepEqual(sockets.filter(existsSync), sockets);
  const cleanup = scene.bench.vpnd("--cleanup");
  assert.equal(await cleanup.ended(), 0, cleanup.errors);
  assert.equal(cleanup.output, dry.output);
  assert.match(cleanup.output, /restore tun7: down, mtu 1300/);
  assert.equal(offloads(), plain);
  assert.deepEqual(sockets.filter(existsSync), [], "a socket is left");
  assert.equal(scene.bench.snapshot(), before);
  const again = scene.bench.vpnd("--cleanup");
  assert.equal(await again.ended(), 0);
  assert.equal(again.output, "");

  const third = await scene.bench.readyVpnd();
  await third.stop("SIGKILL");
  const fourth = await scene.bench.readyVpnd();
  assert.match(fourth.output, /took back what a killed vpnd left/);
  await scene.api().networks.leave({});
  assert.equal(scene.bench.snapshot(), before);
  await scene.stop(fourth);
});
