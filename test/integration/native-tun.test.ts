/** Real TUN and TAP devices under the addon and the engine, in a network namespace that ends with its only process. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

interface Scene {
  name: string;
  ping4: string;
  ping6: string;
  inUse: string;
  devices: Record<"tapAsTun" | "tapAsTap" | "tunAsTap" | "tunAsTun" | "notTun", string>;
  drops: Record<string, number>;
  unknown: string[];
}

describe("TUN devices", { timeout: 120_000 }, () => {
  let scene: Scene;
  before(() => {
    const file = fileURLToPath(new URL("./support/tun-scene.ts", import.meta.url));
    const run = spawnSync("unshare", ["--net", process.execPath, "--import", "tsx", file], {
      encoding: "utf8",
    });
    assert.equal(run.status, 0, run.stderr);
    scene = JSON.parse(run.stdout) as Scene;
  });

  it("gets its number from the kernel", () => {
    assert.equal(scene.name, "scene0");
  });

  it("says at once that nobody has an address", () => {
    assert.match(scene.ping4, /Destination Host Unreachable/);
    assert.match(scene.ping6, /Address unreachable/);
    assert.deepEqual(scene.unknown.sort(), ["10.77.0.99", "fd77::99"]);
  });

  it("cannot be opened twice", () => {
    assert.match(scene.inUse, /^conflict: .*another program has it open/);
  });

  it("fits a device that exists only if that is of its kind", () => {
    assert.match(scene.devices.tapAsTun, /^conflict: .*of another kind/);
    assert.match(scene.devices.tunAsTap, /^conflict: .*of another kind/);
    assert.match(scene.devices.notTun, /^conflict: .*of another kind/);
    assert.equal(scene.devices.tapAsTap, "ok");
    assert.equal(scene.devices.tunAsTun, "ok", "a multi-queue device is opened as one");
  });

  it("is counted and left alone when it is deleted under the engine", () => {
    assert.ok(
      (scene.drops["tun-error"] ?? 0) >= 1 && (scene.drops["tun-error"] ?? 0) < 20,
      JSON.stringify(scene.drops),
    );
  });
});
