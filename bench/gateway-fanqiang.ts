/**
 * `npm run bench -- gateway-fanqiang`: a gateway in the protocol of fanqiang-poc and with hidden sizes, beside our own protocol: TCP both ways
 * and round trips, without TLS; then clients that come and go, and what is left of them. Under four minutes.
 *
 *   --runs N          rounds (3); 0 leaves them out
 *   --seconds S       of each TCP test (3)
 *   --reconnects N    of clients (1000); 0 leaves them out
 *   --mutated N       messages that once were good, from one more client meanwhile (1000000)
 *   --json            prints the figures and leaves the pages alone; so do fewer than 3 rounds
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { FanqiangReport } from "../test/lab/fanqiang-clients.js";
import { internet4, internetHost, internetRoutes } from "../test/lab/internet-host.js";
import { type Host, Lab, repository } from "../test/lab/lab.js";
import { type Daemon, vpnd } from "../test/lab/programs.js";
import { reachable } from "../test/lab/traffic.js";
import { roundTrips, tcp } from "./iperf.js";
import { machineLine, writeLimits } from "./limits-page.js";
import { table, writeSection } from "./performance-page.js";
import { status } from "./process-cost.js";
import { median } from "./statistics.js";

const ways = [
  { name: "our own protocol", options: [] },
  { name: "the same, `--padding`", options: ["--padding"] },
  { name: "`--fanqiang`", options: ["--fanqiang"] },
  { name: "`--fanqiang --padding`", options: ["--fanqiang", "--padding"] },
] as const;

interface Run {
  way: string;
  /** Bits a second. */
  up: number;
  down: number;
  /** Seconds. */
  ping: number;
}

/** What the gateway has before the clients come, and after they went. */
interface Trace {
  devices: number;
  descriptors: number;
  rssBytes: number;
}

interface Reconnects {
  count: number;
  served: number;
  turnedAway: number;
  mutated: number;
  seconds: number;
  before: Trace;
  after: Trace;
}

interface Scene {
  gateway: Daemon;
  client: Daemon;
  web: Host;
  crowd: Host;
}

/** The original's, by the same tests on such a machine. */
const original = { up: 82e6, down: 80e6, ping: 0.0013 };
const roundsForPage = 3;
const port = 8080;
const mostClients = 100;

const urlOf = ({ host }: Daemon): string => `ws://${host.address}:${port}/`;

async function measure(
  { gateway, client, web }: Scene,
  { name, options }: (typeof ways)[number],
  seconds: number,
): Promise<Run> {
  await gateway.ok(["gateway", "start", "--open", ...options, "--listen", `0.0.0.0:${port}`]);
  await client.ok(["join", "net", "--gateway", urlOf(gateway), ...options, "--route", internetRoutes]);
  await reachable(client.host, internet4);
  const ends = { a: client.host, b: web };
  const { average: ping } = await roundTrips(ends, internet4, 1);
  const up = (await tcp(ends, internet4, seconds)).bps;
  const down = (await tcp(ends, internet4, seconds, { reverse: true })).bps;
  await client.ok(["leave", "net"]);
  await gateway.ok(["gateway", "stop"]);
  return { way: name, up, down, ping };
}

async function trace({ host, program }: Daemon): Promise<Trace> {
  const devices = (await host.ip("-br", "link")).match(/vpngw-/g)?.length ?? 0;
  const { pid } = program;
  const rssBytes = status(pid, "VmRSS") * 1024;
  return { devices, descriptors: readdirSync(`/proc/${pid}/fd`).length, rssBytes };
}

async function comeAndGo({ gateway, crowd }: Scene, count: number, mutants: number): Promise<Reconnects> {
  const options = ["--fanqiang", "--max-clients", String(mostClients), "--listen", `0.0.0.0:${port}`];
  await gateway.ok(["gateway", "start", ...options]);
  const program = ["--import", join(repository, "node_modules/tsx/dist/loader.mjs")];
  const script = join(repository, "test/lab/fanqiang-clients.ts");
  const run = async (reconnects: number, mutated: number): Promise<FanqiangReport> => {
    const args = [...program, script, urlOf(gateway), internet4, String(reconnects), String(mutated)];
    const result = await crowd.exec(process.execPath, args, { timeoutMs: 600_000 });
    if (result.code !== 0) throw new Error(result.stderr);
    return JSON.parse(result.stdout) as FanqiangReport;
  };
  // As many as are together: what is made once is there then.
  await run(mostClients, 0);
  const before = await trace(gateway);
  const began = performance.now();
  const { served, turnedAway, mutated } = await run(count, mutants);
  const seconds = (performance.now() - began) / 1000;
  const after = await trace(gateway);
  await gateway.ok(["gateway", "stop"]);
  return { count, served, turnedAway, mutated, seconds, before, after };
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "3" },
      reconnects: { type: "string", default: "1000" },
      mutated: { type: "string", default: "1000000" },
      json: { type: "boolean", default: false },
    },
  });
  const number = (name: "runs" | "seconds" | "reconnects" | "mutated"): number => Number(values[name]);
  const [rounds, seconds] = [number("runs"), number("seconds")];
  const [reconnects, mutated] = [number("reconnects"), number("mutated")];
  if (!(rounds >= 0 && seconds > 0 && reconnects >= 0 && mutated >= 0))
    throw new Error("options must be numbers");
  const lab = await Lab.create("bench-fanqiang");
  try {
    const gateway = await vpnd(await lab.publicHost("gw"));
    const client = await vpnd(await lab.publicHost("client"));
    const scene = { gateway, client, web: await internetHost(lab), crowd: await lab.publicHost("crowd") };
    const runs: Run[] = [];
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`# round ${round}\n`);
      for (const way of ways) runs.push(await measure(scene, way, seconds));
    }
    const crowd = reconnects === 0 ? undefined : await comeAndGo(scene, reconnects, mutated);
    if (values.json) {
      const document = { schema: "bench.gateway-fanqiang/v1", ...machineLine(), runs, crowd };
      process.stdout.write(`${JSON.stringify(document)}\n`);
      return;
    }
    const speed = rounds === 0 ? "" : speeds(runs, rounds, seconds);
    const left = crowd === undefined ? "" : crowdText(crowd);
    process.stdout.write(`${[speed, left].filter((text) => text !== "").join("\n\n")}\n`);
    if (rounds < roundsForPage || crowd === undefined) return;
    writeSection("gateway fanqiang", speed);
    writeLimits("gateway reconnects", left);
    process.stderr.write("# written: docs/performance.md, docs/limits.md\n");
  } finally {
    await lab.close();
  }
}

function speeds(runs: readonly Run[], rounds: number, seconds: number): string {
  const { date, machine, kernel, node } = machineLine();
  const row = (name: string, { up, down, ping }: Omit<Run, "way">): string[] => [
    name,
    ...[up, down].map((bps) => (bps / 1e6).toFixed(0)),
    (up / original.up).toFixed(1),
    (down / original.down).toFixed(1),
    (ping * 1000).toFixed(2),
  ];
  const rows = ways.map(({ name }) => {
    const of = (what: (run: Run) => number): number =>
      median(runs.filter(({ way }) => way === name).map(what));
    return row(name, { up: of(({ up }) => up), down: of(({ down }) => down), ping: of(({ ping }) => ping) });
  });
  rows.push(row("the original", original));
  const head = ["without TLS", ">up Mbit/s", ">down Mbit/s", ">up/original", ">down/original", ">ping ms"];
  return [
    `Measured by \`npm run bench -- gateway-fanqiang --runs ${rounds} --seconds ${seconds}\` (as root). ${date}, ${machine}, ${kernel}, ${node}.`,
    "",
    "As above; both ends have the options that are named.",
    "",
    table(head, rows),
  ].join("\n");
}

function crowdText({ count, served, turnedAway, mutated, seconds, before, after }: Reconnects): string {
  const { date, machine, kernel, node } = machineLine();
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  return [
    `Measured by \`npm run bench -- gateway-fanqiang\`. ${date}, ${machine}, ${kernel}, ${node}.`,
    "",
    `${count} connections in the protocol of fanqiang-poc, one after the other and some at once, half of them left without a word, in ` +
      `${seconds.toFixed(0)} s: ${served} had an answer from the Internet, ${turnedAway} found no room. One more sent ` +
      `${mutated} messages that once were good and was served afterwards, like another meanwhile. Before them, after the first ` +
      `${mostClients}, the gateway had ${before.devices} devices, ${before.descriptors} descriptors and ${mib(before.rssBytes)} MiB of memory; ` +
      `after them ${after.devices}, ${after.descriptors} and ${mib(after.rssBytes)} MiB.`,
  ].join("\n");
}
