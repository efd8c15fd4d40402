/** Programs die, come back and go away for good. */
import assert from "node:assert/strict";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";

interface Scene {
  server: Host;
  iexd: Running;
  a: Daemon;
  b: Daemon;
  before: string;
}

labSuite<Scene>(
  "lives",
  async (lab) => {
    const server = await lab.publicHost("server");
    const hosts = [
      await lab.hostBehind("a", await lab.router("ra", "port-restricted")),
      await lab.hostBehind("b", await lab.router("rb", "port-restricted")),
    ] as const;
    const before = await snapshot(hosts[0]);
    const [program, a, b] = await Promise.all([iexd(server), vpnd(hosts[0]), vpnd(hosts[1])]);
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
    await Promise.all([
      a.join({ ...common, vip: "10.30.0.1/24", name: "a" }),
      b.join({ ...common, vip: "10.30.0.2/24", name: "b" }),
    ]);
    await Promise.all([a.peerUp("10.30.0.2"), b.peerUp("10.30.0.1")]);
    return { server, iexd: program, a, b, before };
  },
  (step) => {
    step("a dead iexd does not end tunnels, and a new one is found", async (scene) => {
      scene.iexd.kill("SIGKILL");
      await scene.iexd.ended();
      assert.equal((await ping(scene.a.host, "10.30.0.2", { count: 5 })).received, 5);
      scene.iexd = await iexd(scene.server);
      const heard = await scene.a.peerUp("10.30.0.2", 30_000);
      assert.equal(heard.path, "direct");
      assert.equal((await ping(scene.a.host, "10.30.0.2", { count: 3 })).received, 3);
    });

    step("a killed vpnd comes back into its network by itself", async (scene) => {
      await scene.a.crash();
      await scene.a.start();
      await scene.a.peerUp("10.30.0.2", 60_000);
      await scene.b.peerUp("10.30.0.1", 60_000);
      await reachable(scene.a.host, "10.30.0.2", 60_000);
      await reachable(scene.b.host, "10.30.0.1", 60_000);
    });

    step("down leaves nothing but the membership, up brings it back", async (scene) => {
      await scene.a.ok(["down"]);
      await assertUnchanged(scene.a.host, scene.before);
      await scene.a.ok(["up"]);
      await reachable(scene.a.host, "10.30.0.2", 60_000);
    });

    step("SIGTERM leaves nothing behind, and a new start rejoins", async (scene) => {
      assert.equal(await scene.a.stop(), 0);
      await assertUnchanged(scene.a.host, scene.before);
      await scene.a.start();
      await reachable(scene.a.host, "10.30.0.2", 60_000);
    });

    step("a second vpnd on the same state folder is refused", async (scene) => {
      const args = ["--state-dir", scene.a.stateDir, "--socket", scene.a.socket];
      const second = scene.a.host.spawn("second", `${repository}/bin/vpnd`, args);
      assert.notEqual(await second.ended(), 0);
      assert.ok(second.log.trim() !== "");
      assert.equal((await ping(scene.a.host, "10.30.0.2", { count: 2 })).received, 2);
    });

    step("--cleanup removes what a killed vpnd left", async (scene) => {
      await scene.a.crash();
      const result = await scene.a.host.exec(`${repository}/bin/vpnd`, [
        "--cleanup",
        "--state-dir",
        scene.a.stateDir,
        "--socket",
        scene.a.socket,
      ]);
      assert.equal(result.code, 0, result.stdout + result.stderr);
      await assertUnchanged(scene.a.host, scene.before);
      await scene.a.start();
      await reachable(scene.a.host, "10.30.0.2", 60_000);
    });

    step("leave forgets the network for good", async (scene) => {
      await scene.a.ok(["leave"]);
      await assertUnchanged(scene.a.host, scene.before);
      await scene.a.stop();
      await scene.a.start();
      const { networks } = await scene.a.json<{ networks: unknown[] }>(["networks"]);
      assert.deepEqual(networks, []);
      const { stdout } = await scene.a.host.exec("find", [scene.a.stateDir, "-name", "*psk*", "-type", "f"]);
      assert.equal(stdout, "");
    });
  },
);
