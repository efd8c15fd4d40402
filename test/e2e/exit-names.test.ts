/** Names while an exit node is used: asked there, of the exit's own servers; resolv.conf is what it was, whatever ends it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { waitFor } from "../lab/command.js";
import { type Host, repository } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { giveResolvConf, readResolvConf } from "../support/resolv-conf.js";

interface Scene {
  a: Daemon;
  gw: Daemon;
  stranger: Daemon;
  dns: Running;
}

const vip = { a: "10.82.0.1", gw: "10.82.0.2", stranger: "10.82.0.3" };
const answer = "192.0.2.80";
/** Nobody is there: whoever asks it gets nowhere. */
const before =
  "# of the machine\nsearch example.org\nnameserver 203.0.113.250\noptions timeout:1 attempts:1\n";

/** By the C library, as all programs do. */
async function look(host: Host, name: string): Promise<string> {
  const { stdout } = await host.exec("timeout", ["10", "getent", "ahostsv4", name]);
  return stdout.split(/\s/)[0] ?? "";
}

async function looksUp(host: Host, name: string, address: string): Promise<void> {
  let last = "";
  await waitFor(
    async () => {
      last = await look(host, name);
      return last === address;
    },
    30_000,
    `${host.name}: ${name} is ${address}`,
    () => last,
  );
}

labSuite<Scene>(
  "exit-names",
  async (lab) => {
    const server = await lab.publicHost("server");
    await iexd(server, []);
    const script = join(repository, "test/lab/dns-server.ts");
    const args = ["--import", "tsx", script, server.address, "example.com", answer];
    const dns = server.spawn("dns", process.execPath, args);
    await dns.until(() => dns.log.includes("listening"), 20_000, "the DNS server listens");
    const hosts = [await lab.publicHost("a"), await lab.publicHost("gw"), await lab.publicHost("stranger")];
    const [hostA, hostGw] = hosts;
    assert.ok(hostA && hostGw);
    giveResolvConf(hostA.netns, before);
    giveResolvConf(hostGw.netns, `nameserver ${server.address}\n`);
    const [a, gw, stranger] = await Promise.all(hosts.map((host) => vpnd(host)));
    assert.ok(a && gw && stranger);
    const common = { iex: `${server.address}:${iexPort}`, psk: await pskGenerate(), network: "home" };
    await a.join({ ...common, vip: `${vip.a}/24`, name: "alice" });
    await gw.join({ ...common, vip: `${vip.gw}/24`, name: "gw" });
    await stranger.join({ ...common, vip: `${vip.stranger}/24`, name: "stranger" });
    await Promise.all([a.peerUp(vip.gw), gw.peerUp(vip.a), stranger.peerUp(vip.gw)]);
    return { a, gw, stranger, dns };
  },
  (step) => {
    step(
      "the machine asks through the exit node, whose servers see the exit node",
      async ({ a, gw, dns }) => {
        await gw.ok(["exit-node", "offer", "--to", "alice"]);
        await waitFor(
          async () => /\bgw\b/.test(await a.ok(["exit-node", "list"])),
          20_000,
          "the offer has arrived",
        );
        assert.equal(await look(a.host, "www.example.com"), "", "its usual server is silent");
        await a.ok(["exit-node", "use", "gw"]);
        assert.match(readResolvConf(a.host.netns), /^nameserver 10\.82\.0\.1$/m);
        await looksUp(a.host, "www.example.com", answer);
        assert.match(dns.log, new RegExp(`^${gw.host.address} asks for A www\\.example\\.com$`, "m"));
        assert.doesNotMatch(dns.log, new RegExp(`^${a.host.address} `, "m"));
        await looksUp(a.host, "gw.home.vpn", vip.gw);
        assert.doesNotMatch(dns.log, /vpn/, "names of networks are asked of nobody else");
      },
    );

    step("network and footprint show it", async ({ a }) => {
      assert.match(
        await a.ok(["network"]),
        /NAME\.home\.vpn and all others at 10\.82\.0\.1, asked by resolv\.conf/,
      );
      assert.match(await a.ok(["footprint"]), /resolver +\/etc\/resolv\.conf/);
    });

    step("who may not use the exit node gets no names from it either", async ({ stranger }) => {
      const { stdout } = await stranger.host.exec("dig", [
        `@${vip.gw}`,
        "+tries=1",
        "+time=20",
        "www.example.com",
      ]);
      assert.match(stdout, /status: REFUSED/);
    });

    step("off gives the file back", async ({ a }) => {
      await a.ok(["exit-node", "off"]);
      assert.equal(readResolvConf(a.host.netns), before);
    });

    step("so do a stop, and a start brings the exit node's names back", async ({ a }) => {
      await a.ok(["exit-node", "use", "gw"]);
      await looksUp(a.host, "www.example.com", answer);
      await a.stop();
      assert.equal(readResolvConf(a.host.netns), before);
      await a.start();
      await a.peerUp(vip.gw);
      await looksUp(a.host, "www2.example.com", answer);
    });

    step("after kill -9 a clean-up gives it back", async ({ a }) => {
      await a.crash();
      assert.notEqual(readResolvConf(a.host.netns), before);
      const cleanup = ["--cleanup", "--state-dir", a.stateDir, "--socket", a.socket];
      const { stdout } = await a.host.exec(join(repository, "bin/vpnd"), cleanup);
      assert.match(stdout, /^put \/etc\/resolv\.conf back$/m);
      assert.equal(readResolvConf(a.host.netns), before);
    });

    step("what somebody else has written meanwhile stays", async ({ a }) => {
      await a.start();
      await a.peerUp(vip.gw);
      await looksUp(a.host, "www3.example.com", answer);
      await a.crash();
      const theirs = "nameserver 203.0.113.251\n";
      giveResolvConf(a.host.netns, theirs);
      await a.host.exec(join(repository, "bin/vpnd"), [
        "--cleanup",
        "--state-dir",
        a.stateDir,
        "--socket",
        a.socket,
      ]);
      assert.equal(readResolvConf(a.host.netns), theirs);
    });
  },
);
