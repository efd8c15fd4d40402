/**
 * `npm run bench -- port [--runs N] [--seconds S] [--json]`: two packet ports that JavaScript joins in this process, against a cable
 * without offloads, in turn within each round. What a carrier's own socket costs comes on top.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import type { PacketPort, PortItems } from "../src/daemon/core/packet-port.js";
import { openTun } from "../src/daemon/io/native.js";
import { createPacketPort } from "../src/daemon/io/packet-port.js";
import { must } from "../test/lab/command.js";
import type { Host } from "../test/lab/lab.js";
import { type Ends, roundTrips, smallPackets, tcp } from "./iperf.js";
import { machineLine } from "./limits-page.js";
import { answers, makePair } from "./pair.js";
import { table } from "./performance-page.js";
import { median } from "./statistics.js";

const ways = ["cable", "packets", "supers"] as const;
type Way = (typeof ways)[number];

interface PortRun {
  way: Way;
  round: number;
  /** Bits a second. */
  tcp: number;
  tcpBack: number;
  /** 64 bytes each, received in a second. */
  smallPackets: number;
  /** Seconds, average. */
  ping: number;
  /** Of this process, for 10^9 bytes by TCP. */
  cpuSecondsPerGb?: number;
}

const mtu = 1500;
const addresses = ["10.212.0.1", "10.212.0.2"] as const;

async function attach(host: Host, address: string, items: PortItems): Promise<PacketPort> {
  const { fd, name } = openTun({ name: "benchport%d" });
  const port = createPacketPort({ tunFd: fd, mtu, items });
  await must("ip", ["link", "set", name, "netns", host.netns]);
  await host.ip("addr", "add", `${address}/24`, "dev", name);
  await host.ip("link", "set", name, "mtu", String(mtu), "up");
  return port;
}

function join(from: PacketPort, to: PacketPort): void {
  from.onPackets = (batch) => {
    to.write(batch.data, batch.ends);
    batch.release();
  };
  from.start();
}

async function measure(
  ends: Ends,
  address: string,
  seconds: number,
): Promise<Omit<PortRun, "way" | "round">> {
  const before = process.cpuUsage();
  const there = await tcp(ends, address, seconds);
  const back = await tcp(ends, address, seconds, { reverse: true });
  const { user, system } = process.cpuUsage(before);
  return {
    tcp: there.bps,
    tcpBack: back.bps,
    cpuSecondsPerGb: (user + system) / 1e6 / ((there.bytes + back.bytes) / 1e9),
    smallPackets: (await smallPackets(ends, address, seconds)).receivedPps,
    ping: (await roundTrips(ends, address, Math.min(seconds, 2))).average,
  };
}

async function runOnce(way: Way, round: number, seconds: number): Promise<PortRun> {
  const pair = await makePair("nooffload");
  const ports: PacketPort[] = [];
  try {
    if (way === "cable") {
      const { cpuSecondsPerGb: _, ...run } = await measure(pair, pair.b.address, seconds);
      return { way, round, ...run };
    }
    const a = await attach(pair.a, addresses[0], way);
    ports.push(a);
    const b = await attach(pair.b, addresses[1], way);
    ports.push(b);
    join(a, b);
    join(b, a);
    await answers(pair, addresses[1]);
    return { way, round, ...(await measure(pair, addresses[1], seconds)) };
  } finally {
    for (const port of ports) await port.stop();
    await pair.lab.close();
  }
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
    },
  });
  const runs: PortRun[] = [];
  for (let round = 1; round <= Number(values.runs); round++) {
    for (const way of ways) {
      process.stderr.write(`# round ${round}: ${way}\n`);
      runs.push(await runOnce(way, round, Number(values.seconds)));
    }
  }
  const report = { schema: "bench.port/v1", ...machineLine(), runs };
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : render(runs));
}

function render(runs: readonly PortRun[]): string {
  const of = (way: Way, field: Exclude<keyof PortRun, "way" | "round">) =>
    median(runs.filter((run) => run.way === way).map((run) => run[field] ?? Number.NaN));
  const lines = ways.map((way) => [
    way,
    ...(["tcp", "tcpBack"] as const).flatMap((field) => [
      (of(way, field) / 1e9).toFixed(2),
      (of(way, field) / of("cable", field)).toFixed(2),
    ]),
    Math.round(of(way, "smallPackets") / 1000).toString(),
    (of(way, "ping") * 1e6).toFixed(0),
    way === "cable" ? "-" : of(way, "cpuSecondsPerGb").toFixed(2),
  ]);
  const { date, machine, kernel } = machineLine();
  const columns = [
    "",
    ">TCP Gbit/s",
    ">of cable",
    ">back",
    ">of cable",
    ">64 B kpps",
    ">ping us",
    ">CPU s/GB",
  ];
  return `${date}, ${machine}, ${kernel}; medians.\n\n${table(columns, lines)}\n`;
}
