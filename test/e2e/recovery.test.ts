/** vpnd is killed in the middle of things and started again. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { assertUnchanged, snapshot } from "../lab/snapshot.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, reachable } from "../lab/traffic.js";

interface Scene {
  server: Host;
  a: Daemon;
  b: Daemon;
  before: string;
}

interface Footprint {
  traces: { kind: string; name: string; network?: string; present: boolean }[];
}
interface Plan {
  state: string;
  steps: { kind: string; description: string; state: string }[];
}

labSuite<Scene>(
  "recovery",
  async (lab) => {
    const server = await lab.publicHost("server");
    const hosts = [
      await lab.hostBehind("a", await lab.router("ra", "port-restricted")),
      await lab.hostBehind("b", await lab.router("rb", "port-restricted")),
    ] as const;
    // So that the transfer is still under way when vpnd is killed.
    await lab.shape(hosts[1], "40mbit");
    const before = await snapshot(hosts[0]);
    const [, a, b] = await Promise.all([iexd(server), vpnd(hosts[0]), vpnd(hosts[1])]);
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate() };
    await Promise.all([
      a.join({ ...common, vip: "10.60.0.1/24", name: "a" }),
      b.join({ ...common, vip: "10.60.0.2/24", name: "b" }),
    ]);
    await Promise.all([a.peerUp("10.60.0.2"), b.peerUp("10.60.0.1")]);
    return { server, a, b, before };
  },
  (step) => {
    for (const [victim, of] of [
      ["receiver", "a"],
      ["sender", "b"],
    ] as const) {
      step(`a TCP transfer survives kill -9 of the ${victim}'s vpnd`, async (scene, lab) => {
        const bytes = 20_000_000;
        const sender = scene.b.host;
        // So slow that a busy machine still kills it in the middle.
        await lab.shape(sender, "10mbit");
        await reachable(sender, "10.60.0.1");
        const killed = scene[of];
        const start = (await scene.a.stats()).rxBytes;
        const transfer = copyFile(sender, scene.a.host, "10.60.0.1", bytes, 120_000);
        transfer.catch(() => {});
        await waitFor(
          async () => (await scene.a.stats()).rxBytes - start > bytes / 5,
          60_000,
          "a fifth of the bytes has arrived",
        );
        const peer = of === "a" ? "10.60.0.2" : "10.60.0.1";
        const soFar = (await scene.a.stats()).rxBytes - start;
        assert.ok(soFar < bytes * 0.9, `the transfer was over already: ${soFar}`);
        await killed.crash();
        await must("tc", ["-n", sender.netns, "qdisc", "del", "dev", "eth0", "root"]);
        await killed.start();
        await killed.peerUp(peer, 60_000);
        const result = await transfer;
        assert.equal(result.bytes, bytes);
        assert.equal(result.receivedSha256, result.sentSha256);
      });
    }

    step("nothing stale is left after that", async ({ a }) => {
      const { traces } = await a.json<Footprint>(["footprint"]);
      assert.deepEqual(
        traces.filter((trace) => !trace.present),
        [],
      );
      const names = (kind: string) =>
        traces.filter((trace) => trace.kind === kind).map((trace) => trace.name);
      assert.deepEqual(names("device"), ["vpn-default"]);
      assert.deepEqual(names("address"), ["10.60.0.1/24"]);
      assert.deepEqual(names("route"), ["10.60.0.0/24"]);
      const links = (await a.host.exec("ip", ["-br", "link"])).stdout;
      assert.equal(links.match(/vpn-/g)?.length, 1, links);
      const files = readdirSync(a.stateDir, { recursive: true }).map(String);
      assert.deepEqual(
        files.filter((file) => /\.tmp$|damaged/.test(file)),
        [],
      );
      // What footprint lists as files is what there is.
      const listed = new Set(names("file"));
      for (const file of ["networks/default.json", "secrets/default.json", "journal.json"]) {
        assert.ok(listed.has(join(a.stateDir, file)), `${file} is not in ${[...listed].join()}`);
      }
      assert.ok(names("socket").includes(`unix ${a.socket}`));
      const port = names("socket")
        .find((name) => name.startsWith("udp "))
        ?.slice(4);
      assert.match((await a.host.exec("ss", ["-Hlun"])).stdout, new RegExp(`:${port}\\s`));
    });

    step("plan says what is in force, what somebody else undid, and what up would do", async ({ a }) => {
      const states = async () => (await a.json<Plan>(["plan"])).steps.map((one) => one.state);
      assert.deepEqual(await states(), ["applied", "applied", "applied"]);
      await a.host.ip("addr", "del", "10.60.0.1/24", "dev", "vpn-default");
      assert.deepEqual(await states(), ["applied", "applied", "missing"]);
      assert.match(await a.ok(["plan"]), /missing {2}add address 10\.60\.0\.1\/24[\s\S]*# somebody undid/);
      const dry = await a.json<{ plan: string[] }>(["down", "--dry-run"]);
      assert.deepEqual(dry.plan, [
        "remove address 10.60.0.1/24 from vpn-default",
        "set vpn-default down",
        "remove device vpn-default",
      ]);
      await a.ok(["down"]);
      assert.deepEqual(await states(), ["pending", "pending", "pending"]);
      await a.host.ip("tuntap", "add", "dev", "vpn-default", "mode", "tun");
      const blocked = await a.json<Plan & { obstacle: { code: string } }>(["plan"]);
      assert.equal(blocked.obstacle.code, "conflict");
      await a.host.ip("tuntap", "del", "dev", "vpn-default", "mode", "tun");
      await a.ok(["up"]);
      assert.deepEqual(await states(), ["applied", "applied", "applied"]);
      await reachable(a.host, "10.60.0.2", 60_000);
    });

    step("killed while it joins, it leaves no half of a network", async ({ a, server, before }) => {
      await a.ok(["leave"]);
      const psk = await pskGenerate();
      // Nobody listens on this port, so the join waits, with its device up and nothing kept.
      const iex = `${server.address}:9`;
      const pending = a.ctl(a.joinArgs({ iex, vip: "10.61.0.1/24", psk, network: "half", timeout: 60 }));
      await waitFor(
        async () => (await a.host.exec("ip", ["addr"])).stdout.includes("10.61.0.1/24"),
        30_000,
        "the device of the new network",
      );
      // As if killed while the keys were on disk and the config was not.
      writeFileSync(join(a.stateDir, "secrets/half.json"), "{}", { mode: 0o600 });
      await a.crash();
      assert.notEqual((await pending).code, 0);
      await a.start();
      const { networks } = await a.json<{ networks: unknown[] }>(["networks"]);
      assert.deepEqual(networks, []);
      await assertUnchanged(a.host, before);
      for (const folder of ["networks", "secrets", "peers"]) {
        assert.deepEqual(readdirSync(join(a.stateDir, folder)), []);
      }
      assert.ok(!existsSync(join(a.stateDir, "journal.json")));
    });

    step("--cleanup says when it cannot know what is left", async ({ a }) => {
      await a.stop();
      writeFileSync(join(a.stateDir, "journal.json"), "{ not json", { mode: 0o600 });
      const cleanup = () =>
        a.host.exec(`${repository}/bin/vpnd`, ["--cleanup", "--state-dir", a.stateDir, "--socket", a.socket]);
      const first = await cleanup();
      assert.equal(first.code, 1);
      assert.match(first.stderr, /the journal made no sense[^\n]*\n[^\n]*journal\.json\.damaged-/);
      assert.equal((await cleanup()).code, 0);
    });
  },
);
