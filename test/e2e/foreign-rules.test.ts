/** A machine that is full of other people's rules is the same before and after. */
import assert from "node:assert/strict";
import { changed, makeForeign, netState } from "../integration/support/net-state.js";
import { type Host, repository } from "../lab/lab.js";
import { Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { reachable } from "../lab/traffic.js";

interface Scene {
  a: Daemon;
  host: Host;
  before: string;
  join: Parameters<Daemon["join"]>[0];
}

function assertSame(host: Host, before: string): void {
  assert.deepEqual(changed(before, netState(host.netns)), []);
}

labSuite<Scene>(
  "foreign-rules",
  async (lab) => {
    const server = await lab.publicHost("server");
    const host = await lab.publicHost("a");
    const other = await lab.publicHost("b");
    makeForeign(host.netns);
    await host.ip("tuntap", "add", "dev", "tun7", "mode", "tun");
    await host.ip("addr", "add", "198.51.100.200/24", "dev", "tun7");
    const iex = `${server.address}:${iexPort}`;
    const psk = await pskGenerate();
    await iexd(server);
    const b = await vpnd(other);
    await b.join({ iex, psk, vip: "10.50.0.2/24", name: "b" });
    // Neighbours and routes to the server are there from now on.
    await reachable(host, server.address);
    const before = netState(host.netns);
    const a = new Daemon(host);
    await a.start();
    return { a, host, before, join: { iex, psk, vip: "10.50.0.1/24", name: "a" } };
  },
  (step) => {
    step("a running vpnd without networks changes nothing", async ({ host, before }) => {
      assertSame(host, before);
    });

    step("a dry run changes nothing", async ({ a, host, before, join }) => {
      const plan = await a.ok([...a.joinArgs(join), "--dry-run"]);
      assert.match(plan, /^create device vpn-default \(tun\)$/m);
      assertSame(host, before);
    });

    step("while it is joined, everything of others is as it was, and traffic flows", async (scene) => {
      const { a, host, before, join } = scene;
      await a.join(join);
      await reachable(host, "10.50.0.2", 60_000);
      const lines = changed(before, netState(host.netns));
      const strange = lines.filter((line) => !/vpn-default|10\.50\.0\./.test(line));
      assert.deepEqual(strange, []);
      assert.ok(lines.length > 3);
      const text = await a.ok(["footprint"]);
      for (const line of [
        /^device +vpn-default +default +yes +tun, up, mtu 1400$/m,
        /^address +10\.50\.0\.1\/24 +default +yes +dev vpn-default$/m,
        /^route +10\.50\.0\.0\/24 +default +yes /m,
        /^socket +udp \d+ +default +yes$/m,
        /^file +\S+secrets\/default\.json +default +yes +\d+ bytes, mode 0600$/m,
      ])
        assert.match(text, line);
    });

    step("join and leave", async ({ a, host, before }) => {
      await a.ok(["leave"]);
      assertSame(host, before);
    });

    // Who left and joins again is another node, so it takes another address than others have pinned to the first.
    step("down and up", async ({ a, host, before, join }) => {
      await a.join({ ...join, vip: "10.50.0.3/24" });
      await a.ok(["down"]);
      assertSame(host, before);
      await a.ok(["up"]);
      await a.ok(["leave"]);
      assertSame(host, before);
    });

    step("SIGTERM", async ({ a, host, before, join }) => {
      await a.join({ ...join, vip: "10.50.0.4/24" });
      assert.equal(await a.stop(), 0);
      assertSame(host, before);
      await a.start();
      await reachable(host, "10.50.0.2", 60_000);
    });

    step("kill -9 and --cleanup, on a device of ours and on an existing one", async (scene) => {
      const { a, host, before, join } = scene;
      const cleanUp = async () => {
        const args = ["--cleanup", "--state-dir", a.stateDir, "--socket", a.socket];
        const { code, stdout, stderr } = await host.exec(`${repository}/bin/vpnd`, args);
        assert.equal(code, 0, stderr);
        return stdout;
      };
      await a.crash();
      await cleanUp();
      assertSame(host, before);
      await a.start();
      await a.ok(["leave"]);
      await a.join({ ...join, vip: "10.50.0.5/24", device: "tun7" });
      await reachable(host, "10.50.0.2", 60_000);
      await a.crash();
      assert.notDeepEqual(changed(before, netState(host.netns)), []);
      const said = await cleanUp();
      assert.match(said, /^restore tun7: down, mtu 1500$/m);
      assertSame(host, before);
      await a.start();
      await reachable(host, "10.50.0.2", 60_000);
      await a.ok(["leave"]);
      assertSame(host, before);
      assert.equal(await a.stop(), 0);
      assertSame(host, before);
    });
  },
);
