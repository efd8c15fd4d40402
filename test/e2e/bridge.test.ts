/** TAP links as ports of Linux bridges: two LANs become one segment; who is one end too many is told so. */
import assert from "node:assert/strict";
import { keyFile } from "../lab/carriers.js";
import { waitFor } from "../lab/command.js";
import type { Host, Lab } from "../lab/lab.js";
import { type Daemon, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { copyFile, ping, reachable } from "../lab/traffic.js";

interface Scene {
  a: Daemon;
  b: Daemon;
  lanA: Host;
  lanB: Host;
  psk: string;
}

const port = "55555";
const tap = "tap7";

/** A host that knows of nothing but its LAN, behind a bridge on the gateway. */
async function lan(lab: Lab, name: string, gateway: Host, number: number): Promise<Host> {
  const host = await lab.isolatedHost(name);
  await lab.wire(gateway, "eth1", host, "eth0");
  await gateway.ip("link", "add", "br0", "type", "bridge");
  await gateway.ip("link", "set", "eth1", "master", "br0");
  await gateway.ip("link", "set", "br0", "up");
  await host.ip("addr", "add", `192.168.77.${number}/24`, "brd", "+", "dev", "eth0");
  await host.ip("addr", "add", `fd77::${number}/64`, "dev", "eth0");
  return host;
}

/** As a DHCP client does: from no address to everybody, whom it knows by their answer alone. */
const shout = `
const socket = require("node:dgram").createSocket("udp4");
socket.bind(68, () => {
  socket.setBroadcast(true);
  setInterval(() => socket.send("discover", 67, "255.255.255.255"), 200);
});
socket.on("message", (message, from) => {
  console.log(message.toString(), from.address);
  process.exit(0);
});`;
const answer = `
const socket = require("node:dgram").createSocket("udp4");
socket.bind(67, () => {
  socket.setBroadcast(true);
  console.log("ready");
});
socket.on("message", () => socket.send("offer", 68, "255.255.255.255"));`;

labSuite<Scene>(
  "bridge",
  async (lab) => {
    const [a, b] = [await lab.publicHost("a"), await lab.publicHost("b")];
    const [lanA, lanB] = [await lan(lab, "lan-a", a, 1), await lan(lab, "lan-b", b, 2)];
    return { a: await vpnd(a), b: await vpnd(b), lanA, lanB, psk: await pskGenerate() };
  },
  (step) => {
    step("two LANs are one: ARP, IPv6 neighbours, broadcasts, full frames", async (scene) => {
      const { a, b, lanA, lanB, psk } = scene;
      // One device of the user's own, in the bridge before it has a link, and one of ours, put there afterwards.
      await a.host.ip("tuntap", "add", "dev", tap, "mode", "tap");
      await a.host.ip("link", "set", tap, "master", "br0");
      const key = (daemon: Daemon) => ["--tls-psk-file", keyFile(daemon.host, "link.key", psk)];
      const mine = ["--vip", "10.63.0.1/30", "--device", tap, "--name", "a", ...key(a)];
      await a.ok(["join", "--tap", "--tcp-listen", port, ...mine]);
      const there = `${a.host.address}:${port}`;
      const theirs = ["--vip", "10.63.0.2/30", "--name", "b", ...key(b)];
      await b.ok(["join", "--tap", "--tcp-connect", there, ...theirs]);
      await b.host.ip("link", "set", "vpn-default", "master", "br0");
      await reachable(lanA, "192.168.77.2");
      assert.equal((await ping(lanB, "192.168.77.1")).received, 3);
      assert.match(await lanA.ip("neigh", "show", "192.168.77.2"), /lladdr/);
      await reachable(lanA, "fd77::2");
      assert.match(await lanA.ip("-6", "neigh", "show", "fd77::2"), /lladdr/);
      const whole = await ping(lanA, "192.168.77.2", { size: 1472, dontFragment: true });
      assert.equal(whole.received, 3, whole.output);
      const copied = await copyFile(lanA, lanB, "192.168.77.2", 5_000_000);
      assert.equal(copied.receivedSha256, copied.sentSha256);
    });

    step("a question to everybody from nobody is answered across the link, as DHCP's is", async (scene) => {
      const { lanA, lanB } = scene;
      // Without a way to everywhere Linux refuses to send to everybody.
      await lanB.ip("route", "add", "default", "dev", "eth0");
      const server = lanB.spawn("answer", process.execPath, ["-e", answer]);
      await server.until(() => /ready/.test(server.log), 20_000, "the server listens");
      await lanA.ip("addr", "flush", "dev", "eth0");
      await lanA.ip("route", "add", "default", "dev", "eth0");
      const client = lanA.spawn("shout", process.execPath, ["-e", shout]);
      await waitFor(() => client.code !== undefined, 20_000, "an offer");
      assert.equal(client.code, 0, client.log);
      assert.match(client.log, /offer 192\.168\.77\.2/);
      await server.stop();
      await lanB.ip("route", "del", "default", "dev", "eth0");
      await lanA.ip("route", "del", "default", "dev", "eth0");
      await lanA.ip("addr", "add", "192.168.77.1/24", "dev", "eth0");
      await reachable(lanA, "192.168.77.2");
    });

    step("a third end is turned away with a reason, and disturbs nobody", async (scene, lab) => {
      const { a, lanA, psk } = scene;
      const c = await vpnd(await lab.publicHost("c"));
      const key = ["--tls-psk-file", keyFile(c.host, "link.key", psk)];
      const there = `${a.host.address}:${port}`;
      const args = ["--tap", "--tcp-connect", there, "--vip", "10.63.0.2/30", "--name", "c", ...key];
      await c.ok(["join", "--no-wait", ...args]);
      const peer = await c.peer("10.63.0.1", ({ reason }) => reason?.code === "taken", 30_000, "taken");
      assert.match(peer.reason?.message ?? "", /two ends/);
      await waitFor(
        async () => ((await a.stats()).drops["second-connection"] ?? 0) > 0,
        20_000,
        "the third end is counted",
      );
      assert.equal((await a.peerUp("10.63.0.2")).name, "b");
      assert.equal((await ping(lanA, "192.168.77.2")).received, 3);
      await c.ok(["leave"]);
    });

    step(
      "the user's device stays in its bridge over restarts, and the LANs find each other again",
      async (scene) => {
        const { a, b, lanA } = scene;
        await a.crash();
        await a.start();
        assert.match(await a.host.ip("link", "show", tap), /master br0/);
        await reachable(lanA, "192.168.77.2", 60_000);
        await a.ok(["leave"]);
        await b.ok(["leave"]);
        assert.match(await a.host.ip("link", "show", tap), /master br0/);
      },
    );
  },
);
