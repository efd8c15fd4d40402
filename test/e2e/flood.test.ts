// Runs alone: members have to connect within seconds of a flood.
/** Floods: nothing crashes, memory stays where it was, every datagram is counted, members get through all the while. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { floodApi } from "../lab/api-flood.js";
import { waitFor } from "../lab/command.js";
import { allowForgedSources, Flood } from "../lab/flood.js";
import type { Host } from "../lab/lab.js";
import type { Running } from "../lab/machine.js";
import { type Daemon, iexd, iexPort, pskGenerate, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";

interface Scene {
  server: Host;
  iex: Running;
  attacker: Host;
  victim: Daemon;
  member: Daemon;
  late: Daemon;
  psk: string;
  samples: string;
}

const total = 200_000;
/** Room for what a process may take for a while, MiB. */
const slackMiB = 96;

labSuite<Scene>(
  "flood",
  async (lab) => {
    const server = await lab.publicHost("server");
    const attacker = await lab.publicHost("attacker");
    await allowForgedSources(attacker);
    const iex = await iexd(server, ["--badger", "--metrics", "127.0.0.1:9100"]);
    const victim = await vpnd(await lab.publicHost("victim"));
    const member = await vpnd(await lab.publicHost("member"));
    const late = await vpnd(await lab.publicHost("late"));
    return {
      server,
      iex,
      attacker,
      victim,
      member,
      late,
      psk: await pskGenerate(),
      samples: join(server.folder, "samples"),
    };
  },
  (step) => {
    step("two nodes meet, and what they say is kept as samples", async (scene) => {
      const { server, victim, member, psk } = scene;
      const capture = join(victim.host.folder, "capture");
      const tcpdump = victim.host.spawn("tcpdump", "tcpdump", [
        "-i",
        "eth0",
        "-U",
        "--immediate-mode",
        "-w",
        capture,
        "udp",
      ]);
      await tcpdump.until(() => tcpdump.log.includes("listening on"), 20_000, "tcpdump listens");
      const iex = `${server.address}:${iexPort}`;
      // The larger virtual IP dials, so the victim is dialled by both others.
      await victim.join({ iex, psk, vip: "10.9.0.1/24", network: "mesh" });
      await member.join({ iex, psk, vip: "10.9.0.2/24", network: "mesh" });
      await victim.peerUp("10.9.0.2");
      await reachable(victim.host, "10.9.0.2");
      // A handshake, a record and a map.
      const samples = await waitFor(
        () => {
          const found = payloads(readFileSync(capture));
          const kinds = new Set(found.map((one) => one[0]));
          return [22, 25, 0x7b].every((kind) => kinds.has(kind)) && found;
        },
        20_000,
        "tcpdump has caught one of each kind",
      );
      await tcpdump.stop();
      writeFileSync(scene.samples, samples.map((one) => one.toString("hex")).join("\n"));
    });

    step("200,000 random and altered datagrams at vpnd: each one is counted", async (scene) => {
      const { victim, attacker, samples } = scene;
      const [port, before, lost] = [
        await meshPort(victim),
        await dropped(victim),
        await kernelDrops(victim.host),
      ];
      const memory = residentMiB(victim.program);
      const flood = Flood.start(attacker, {
        kind: "garbage",
        target: victim.host.address,
        port,
        count: total,
        rate: 25_000,
        samples,
      });
      await flood.flowing();
      await reachable(victim.host, "10.9.0.2");
      const report = await flood.ended();
      assert.equal(report.sent, total);
      await waitFor(
        async () => (await dropped(victim)) - before + (await kernelDrops(victim.host)) - lost >= report.sent,
        30_000,
        `${report.sent} datagrams are counted`,
        async () => ({ drops: (await victim.stats()).drops, before }),
      );
      assert.equal(victim.program.code, undefined);
      assert.ok(residentMiB(victim.program) < memory + slackMiB);
      await reachable(victim.host, "10.9.0.2");
    });

    step("200,000 of them at iexd: each one is counted", async (scene) => {
      const { server, iex, attacker, samples, victim } = scene;
      const [before, lost] = [await iexCounted(server), await kernelDrops(server)];
      const memory = residentMiB(iex);
      const flood = Flood.start(attacker, {
        kind: "garbage",
        target: server.address,
        port: iexPort,
        count: total,
        rate: 25_000,
        samples,
      });
      const report = await flood.ended();
      await waitFor(
        async () => (await iexCounted(server)) - before + (await kernelDrops(server)) - lost >= report.sent,
        30_000,
        `${report.sent} datagrams are counted`,
        () => iexCounted(server),
      );
      assert.equal(iex.code, undefined);
      assert.ok(residentMiB(iex) < memory + slackMiB);
      await reachable(victim.host, "10.9.0.2");
    });

    step(
      "200,000 random and altered messages at the API socket: vpnctl is served all the while",
      async (scene) => {
        const { victim } = scene;
        const folder = `/proc/${victim.program.pid}/fd`;
        const [memory, descriptors, before] = [
          residentMiB(victim.program),
          readdirSync(folder).length,
          await rejected(victim),
        ];
        let flowing = true;
        const flood = floodApi(victim.socket, total).finally(() => {
          flowing = false;
        });
        let served = 0;
        while (flowing) {
          assert.equal((await victim.peerUp("10.9.0.2")).state, "up");
          served += 1;
        }
        const report = await flood;
        assert.ok(served > 3, `vpnctl was served ${served} times`);
        assert.ok(report.messages >= total);
        assert.equal(report.answers, report.calls, "every call was answered");
        assert.ok(report.calls > 10_000 && report.ended > 100, JSON.stringify(report));
        // Not all: who is gone when somebody else needs the place is not asked for reasons.
        const counted = (await rejected(victim)) - before;
        assert.ok(
          counted <= report.ended && counted > report.ended / 5,
          `${counted} of ${report.ended} counted`,
        );
        assert.equal(victim.program.code, undefined);
        assert.ok(residentMiB(victim.program) < memory + slackMiB);
        await waitFor(
          async () => readdirSync(folder).length <= descriptors,
          20_000,
          "the descriptors are free again",
          async () => readdirSync(folder).length,
        );
        assert.equal((await victim.peerUp("10.9.0.2")).state, "up");
        await reachable(victim.host, "10.9.0.2");
      },
    );

    step("ClientHellos from forged sources: nothing is kept, and members connect", async (scene) => {
      const { victim, attacker } = scene;
      const memory = residentMiB(victim.program);
      const flood = Flood.start(attacker, {
        kind: "forged",
        target: victim.host.address,
        port: await meshPort(victim),
        rate: 15_000,
        sources: 800,
      });
      await flood.flowing();
      const cookies = (await victim.stats()).drops["cookie-asked"] ?? 0;
      await waitFor(
        async () => ((await victim.stats()).drops["cookie-asked"] ?? 0) > cookies + 20_000,
        60_000,
        "the flood has come to the cookies",
        async () => (await victim.stats()).drops,
      );
      await connects(scene, "10.9.0.3");
      await flood.stop();
      // No association was made: what a wrong cookie brings is another cookie.
      assert.equal((await victim.stats()).drops["handshake-limit"] ?? 0, 0);
      assert.ok(residentMiB(victim.program) < memory + slackMiB);
    });

    step("handshakes from real sources without the PSK: their share is bounded", async (scene) => {
      const { victim, attacker } = scene;
      await victim.host.ip("route", "add", "198.18.0.0/15", "via", attacker.address);
      const memory = residentMiB(victim.program);
      const flood = Flood.start(attacker, {
        kind: "real",
        target: victim.host.address,
        port: await meshPort(victim),
        rate: 4_000,
        sources: 40,
      });
      await waitFor(
        async () => ((await victim.stats()).drops["handshake-limit"] ?? 0) > 5_000,
        60_000,
        "the flood meets its limit",
        async () => (await victim.stats()).drops,
      );
      await connects(scene, "10.9.0.4");
      await reachable(victim.host, "10.9.0.2");
      const report = await flood.stop();
      assert.ok(report.answers > 1_000, "the sources were no real ones");
      assert.ok(residentMiB(victim.program) < memory + slackMiB);
      assert.equal(victim.program.code, undefined);
    });

    step("after it all the tunnel is as it was", async ({ victim, member }) => {
      assert.equal((await ping(victim.host, "10.9.0.2", { count: 10 })).received, 10);
      assert.equal((await ping(member.host, "10.9.0.1", { count: 10 })).received, 10);
    });
  },
);

/**
 * A member that was not there before joins and connects in time; then it leaves again.
 * @param vip another one each time, for it comes with another node key and the others have pinned the one before
 */
async function connects({ late, server, psk }: Scene, vip: string): Promise<void> {
  await late.join({ iex: `${server.address}:${iexPort}`, psk, vip: `${vip}/24`, network: "mesh" });
  await late.peer("10.9.0.1", (peer) => peer.state !== "offline", 30_000, "listed");
  await late.peerUp("10.9.0.1", 2_000);
  await late.ok(["leave", "mesh"]);
}

async function dropped(daemon: Daemon): Promise<number> {
  return Object.values((await daemon.stats()).drops).reduce((sum, count) => sum + count, 0);
}

/** UDP port of the only network. */
async function meshPort(daemon: Daemon): Promise<number> {
  const { stdout } = await daemon.host.exec("ss", ["-Hulnp"]);
  // Not the one that answers for names, on the virtual IP.
  const own = stdout.split("\n").filter((one) => one.includes(`pid=${daemon.program.pid},`));
  const line = own.find((one) => !/:53\s/.test(one));
  const port = /:(\d+)\s/.exec(line ?? "")?.[1];
  if (port === undefined) throw new Error(`no UDP socket of vpnd in:\n${stdout}`);
  return Number(port);
}

/** Datagrams that the host's kernel had no room for, of all its sockets. */
async function kernelDrops(host: Host): Promise<number> {
  const { stdout } = await host.exec("cat", ["/proc/net/snmp"]);
  const [names, values] = stdout.split("\n").filter((line) => line.startsWith("Udp:"));
  const at = (names ?? "").split(" ").indexOf("InErrors");
  return Number((values ?? "").split(" ")[at] ?? 0);
}

async function iexCounted(server: Host): Promise<number> {
  const { stdout } = await server.exec("curl", ["-s", "http://127.0.0.1:9100/metrics"]);
  let sum = 0;
  for (const [, value] of stdout.matchAll(/^iexd_datagrams_total\{direction="in",[^}]*\} (\d+)$/gm))
    sum += Number(value);
  return sum;
}

/** Connections to the API that vpnd ended because of what came. */
async function rejected(daemon: Daemon): Promise<number> {
  const text = await daemon.ok(["metrics"]);
  return Number(/^vpnd_api_connections_rejected_total\{reason="protocol"\} (\d+)$/m.exec(text)?.[1]);
}

function residentMiB(program: Running): number {
  const status = readFileSync(`/proc/${program.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** Payloads of the UDP datagrams over IPv4 in a capture file (libpcap, Ethernet). */
function payloads(capture: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 24; at + 16 <= capture.length; ) {
    const size = capture.readUInt32LE(at + 8);
    const frame = capture.subarray(at + 16, at + 16 + size);
    at += 16 + size;
    if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800) continue;
    const payload = frame.subarray(14 + ((frame[14] ?? 0) & 15) * 4 + 8);
    if (payload.length > 0) found.push(Buffer.from(payload));
  }
  return found;
}
