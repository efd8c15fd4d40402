/** Runs inside a network namespace of its own (packet-port.test.ts): traffic over two devices that JavaScript joins; prints what came of it. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import type { Readable } from "node:stream";
import type { PortItems } from "../../../src/daemon/core/packet-port.js";
import { must, run, waitFor } from "../../lab/command.js";
import { far4, far6, type Joined, joinedPorts } from "./joined-ports.js";

export interface PortScene {
  offloads: string[];
  pings: number[];
  /** Bytes received by TCP: from here, from there, both over IPv6 too. */
  tcp: number[];
  udp: { packets: number; lost: number };
  hashes: [string, string];
  counters: ReturnType<Joined["near"]["counters"]>[];
  largestItem: number;
  /** Exit code of the ping through the bridge, for frames. */
  bridged?: number;
}

const size = 24 << 20;

async function listening(joined: Joined, port: number): Promise<void> {
  await waitFor(
    async () => (await joined.namespace.exec("ss", "-Hltn", `sport = :${port}`)) !== "",
    10_000,
    `a listener on ${port}`,
  );
}

async function iperf(joined: Joined, address: string, ...more: string[]): Promise<Record<string, number>[]> {
  const server = joined.namespace.spawn("iperf3", "-s", "-1", "-J");
  server.stdout?.resume();
  await listening(joined, 5201);
  const report = JSON.parse(await must("iperf3", ["-c", address, "-J", ...more]));
  server.kill();
  return [report.end.sum_received, report.end.sum];
}

/** What was sent here and what came there, hashed. */
async function file(joined: Joined): Promise<[string, string]> {
  const receiver = joined.namespace.spawn(
    process.execPath,
    "-e",
    `const hash = require("node:crypto").createHash("sha256");
     require("node:net").createServer((s) => s.on("data", (d) => hash.update(d)).on("end", () => {
       console.log(hash.digest("hex")); process.exit(); })).listen(7000)`,
  );
  await listening(joined, 7000);
  const said = once(receiver.stdout as Readable, "data");
  const data = randomBytes(size);
  const sender = connect(7000, far4).end(data);
  const there = String((await said)[0]).trim();
  sender.destroy();
  return [createHash("sha256").update(data).digest("hex"), there];
}

/** Makes the far device a port of a bridge, which has the address. */
async function bridge(joined: Joined): Promise<number> {
  const { namespace, farName } = joined;
  await namespace.ip("address", "flush", "dev", farName);
  await namespace.ip("link", "add", "bridge0", "type", "bridge");
  await namespace.ip("link", "set", farName, "master", "bridge0");
  await namespace.ip("link", "set", "bridge0", "up");
  await namespace.ip("address", "add", "10.78.0.3/24", "dev", "bridge0");
  return (await run("ping", ["-c", "3", "-i", "0.2", "-w", "15", "10.78.0.3"])).code;
}

const items = process.argv[2] as PortItems;
const joined = await joinedPorts(items, 1400);
const { near, far } = joined;
let largestItem = 0;
const deliver = near.onPackets;
near.onPackets = (batch) => {
  let from = 0;
  for (const end of batch.ends) {
    largestItem = Math.max(largestItem, end - from);
    from = end;
  }
  deliver(batch);
};
const pings: number[] = [];
for (const address of [far4, far6])
  pings.push((await run("ping", ["-c", "3", "-i", "0.1", "-w", "10", address])).code);
pings.push((await run("ping", ["-c", "2", "-i", "0.1", "-w", "10", "-s", "30000", far4])).code);
const tcp: number[] = [];
for (const address of [far4, far6])
  for (const more of [[], ["-R"]])
    tcp.push((await iperf(joined, address, "-n", `${size}`, ...more))[0]?.bytes ?? 0);
// So slow that the kernel's queue does not overflow while a busy machine lets this process wait.
const sum = (await iperf(joined, far4, "-u", "-b", "5M", "-l", "1300", "-t", "1"))[1];
const hashes = await file(joined);
const scene: PortScene = {
  offloads: near.features()?.offloads ?? [],
  pings,
  tcp,
  udp: { packets: sum?.packets ?? 0, lost: sum?.lost_packets ?? 0 },
  hashes,
  counters: [near.counters(), far.counters()],
  largestItem,
  ...(items === "frames" && { bridged: await bridge(joined) }),
};
await joined.stop();
console.log(JSON.stringify(scene));
