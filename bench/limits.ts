/**
 * `npm run bench -- limits [--json] [--seconds N]`: what vpnd and iexd cost when idle, and what a tunnel costs. Writes
 * docs/limits.md except for its section on the soak; with --json only prints what was measured.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type IdleRow, measureIdle } from "./idle.js";
import { machineLine, writeLimits } from "./limits-page.js";
import { measureTraffic, type TrafficResult } from "./traffic.js";

const rounds = 5;
const tcpSeconds = 4;

interface Limits {
  date: string;
  machine: string;
  kernel: string;
  node: string;
  idleSeconds: number;
  idle: IdleRow[];
  traffic: TrafficResult;
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: "boolean", default: false }, seconds: { type: "string", default: "60" } },
  });
  const idleSeconds = Number(values.seconds);
  if (!(idleSeconds >= 5)) throw new Error("--seconds must be a number, at least 5");
  const say = (text: string) => process.stderr.write(`# ${text}\n`);
  say(`idle programs, ${idleSeconds} s`);
  const idle = await measureIdle(idleSeconds);
  say(`ping and TCP, ${rounds} rounds`);
  const traffic = await measureTraffic(rounds, tcpSeconds);
  const limits = { ...machineLine(), idleSeconds, idle, traffic };
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ schema: "bench.limits/v1", ...limits })}\n`);
    return;
  }
  const page = render(limits);
  writeLimits(page);
  process.stdout.write(page);
  say("written: docs/limits.md");
}

function render(limits: Limits): string {
  const { idle, traffic } = limits;
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const micro = (seconds: number) => (seconds * 1e6).toFixed(0);
  const giga = (bits: number) => (bits / 1e9).toFixed(2);
  const rows = idle.map(
    (row) =>
      `| ${row.name} | ${mib(row.rssBytes)} | ${row.cpuSecondsPerMinute.toFixed(2)} | ${row.threads} |`,
  );
  const rtt = traffic.rttTunnelSeconds / traffic.rttRawSeconds;
  const tcp = traffic.tcpTunnelBps / traffic.tcpRawBps;
  return `# Limits

Measured by \`npm run bench -- limits\` (as root), which writes this page. ${limits.date}, ${limits.machine},
${limits.kernel}, ${limits.node}. Other programs ran on the machine at the same time.

## Idle

Over ${limits.idleSeconds} s, all programs in the same ${limits.idleSeconds} s. Peers are living tunnels; nodes of iexd send heartbeats every 5 s, each in its own time.

| program | resident MiB | CPU seconds a minute | threads |
|---|---:|---:|---:|
${rows.join("\n")}

## Traffic

Two vpnd in network namespaces of this machine, so that sender and receiver share its cores; the raw path is the veth pair under the
tunnel, with segmentation and receive offloads off. Medians of ${rounds} rounds that take raw path and tunnel in turn: ping of 200 packets
each, and one TCP stream of ${tcpSeconds} s (iperf3, cubic).

| | raw path | tunnel | tunnel / raw |
|---|---:|---:|---:|
| ping, round trip | ${micro(traffic.rttRawSeconds)} µs | ${micro(traffic.rttTunnelSeconds)} µs | ${rtt.toFixed(2)} |
| TCP, one stream | ${giga(traffic.tcpRawBps)} Gbit/s | ${giga(traffic.tcpTunnelBps)} Gbit/s | ${tcp.toFixed(2)} |
`;
}
