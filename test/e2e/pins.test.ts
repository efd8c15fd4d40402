/** A member that poses as a node already known, with a key of its own, gets nowhere until somebody says so. */
import assert from "node:assert/strict";
import type { Host } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, type JoinOptions, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";

interface Scene {
  server: Host;
  iex: Running;
  a: Daemon;
  b: Daemon;
  impostor: Daemon;
  asB: JoinOptions;
}

/** A new iexd has forgotten who stopped; the old one would list them for 30 s more. */
async function forgetWhoStopped(scene: Scene): Promise<void> {
  await scene.iex.stop();
  scene.iex = await iexd(scene.server);
}

labSuite<Scene>(
  "pins",
  async (lab) => {
    const server = await lab.publicHost("server");
    const iex = await iexd(server);
    const [a, b, impostor] = await Promise.all([
      lab.publicHost("a").then((host) => vpnd(host)),
      lab.publicHost("b").then((host) => vpnd(host)),
      lab.publicHost("c").then((host) => vpnd(host)),
    ]);
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
    const asB = { ...common, vip: "10.60.0.2/24", name: "b", timeout: 60 };
    await Promise.all([a.join({ ...common, vip: "10.60.0.1/24", name: "a" }), b.join(asB)]);
    await Promise.all([a.peerUp("10.60.0.2"), b.peerUp("10.60.0.1")]);
    return { server, iex, a, b, impostor, asB };
  },
  (step) => {
    step("a node with another key and a known virtual IP is refused", async (scene) => {
      const { a, b, impostor, asB } = scene;
      await b.stop();
      await forgetWhoStopped(scene);
      await impostor.ok([...impostor.joinArgs({ ...asB, more: ["--no-wait"] })]);
      const seen = await a.peer(
        "10.60.0.2",
        (peer) => peer.state === "refused" && /pin/.test(peer.reason?.code ?? ""),
        90_000,
        "refused by its pin",
      );
      assert.match(seen.reason?.message ?? "", /peer remove/);
      assert.match(await a.ok(["events"]), /error .*10\.60\.0\.2.*\(pinned\)/);
      assert.equal((await ping(a.host, "10.60.0.2", { count: 2, waitSeconds: 1 })).received, 0);
      assert.equal((await ping(impostor.host, "10.60.0.1", { count: 2, waitSeconds: 1 })).received, 0);
    });

    step("peer remove forgets the pin, and the new node is let in", async ({ a, impostor }) => {
      await a.ok(["peer", "remove", "10.60.0.2"]);
      await a.peerUp("10.60.0.2", 60_000);
      await reachable(impostor.host, "10.60.0.1", 30_000);
    });

    step("a pin can be forgotten while the network is down and nobody lists the node", async (scene) => {
      const { a, b, impostor } = scene;
      await impostor.stop();
      await forgetWhoStopped(scene);
      await a.ok(["down"]);
      const removed = await a.json<{ hadPin: boolean }>(["peer", "remove", "10.60.0.2"]);
      assert.equal(removed.hadPin, true);
      const again = await a.ctl(["peer", "remove", "10.60.0.2"]);
      assert.equal(again.code, 1, again.stdout);
      await a.ok(["up"]);
      await b.start();
      const isB = (peer: { state: string; endpoint?: string }) =>
        peer.state === "up" && peer.endpoint?.startsWith(`${b.host.address}:`) === true;
      await a.peer("10.60.0.2", isB, 90_000, "up, and the true one");
      await reachable(b.host, "10.60.0.1", 30_000);
    });
  },
);
