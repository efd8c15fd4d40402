/**
 * `npm run bench -- postgres [--runs N] [--seconds S] [--json]`: two vpnd that share nothing but a PostgreSQL with its default settings:
 * TCP both ways and round trips, durable and `--fast`, in turn within each round; and what COPY alone gets on the same server, of the same
 * rows and of whole packets, before and after. Load on the machine is in the table: figures of a busy one say little. Rewrites its section
 * of docs/performance.md, unless there are fewer than 3 rounds.
 */
import { loadavg } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { Lab, repository } from "../test/lab/lab.js";
import { Database } from "../test/lab/postgres.js";
import { type Daemon, vpnd } from "../test/lab/programs.js";
import { roundTrips, tcp } from "./iperf.js";
import { machineLine } from "./limits-page.js";
import { table, writeSection } from "./performance-page.js";
import { addresses, joinBoth, role } from "./postgres-pair.js";
import { costs } from "./process-cost.js";
import { median } from "./statistics.js";

interface Run {
  durable: boolean;
  /** Bits a second. */
  tcp: number;
  tcpBack: number;
  /** Seconds. */
  ping: number;
  /** Processors that each of the two vpnd used while TCP went one way: the sender, the receiver. */
  cpu: readonly number[];
  /** Bytes of all parts of the log for each byte of packets in it. */
  stored: number;
  load: number;
}

/** What COPY alone gets, bits a second: rows taken apart, and whole packets. */
interface Alone {
  apart: number;
  whole: number;
}

/** The newest form of the original, on such a machine: bits a second. */
const original = 22.6e6;
const roundsForPage = 3;

async function measure(
  nodes: readonly [Daemon, Daemon],
  database: Database,
  durable: boolean,
  seconds: number,
): Promise<Run> {
  const [a, b] = nodes;
  await joinBoth(nodes, database, durable ? [] : ["--fast"]);
  const ends = { a: a.host, b: b.host };
  const ping = await roundTrips(ends, addresses[1], 1);
  const load = loadavg()[0] ?? Number.NaN;
  let there = 0;
  const used = await costs([a.program.pid, b.program.pid], async () => {
    there = (await tcp(ends, addresses[1], seconds)).bps;
  });
  const back = await tcp(ends, addresses[1], seconds, { reverse: true });
  const stored = await database.sql(
    `SELECT (SELECT sum(pg_total_relation_size(('vpnd.' || name)::regclass)) FROM vpnd.part)
            / (SELECT sum(coalesce(total_length, octet_length(payload))) FROM vpnd.packet)::float`,
  );
  for (const node of nodes) await node.ok(["leave"]);
  await database.sql("TRUNCATE vpnd.packet");
  const cpu = used.map(({ cpuSecondsPerMinute }) => cpuSecondsPerMinute / 60);
  return { durable, tcp: there, tcpBack: back.bps, ping: ping.average, cpu, stored: Number(stored), load };
}

/** By one connection, rows of 64 KB in 1 MiB, durable. */
async function copyAlone(database: Database, seconds: number): Promise<Alone> {
  const program = [
    "--import",
    `${repository}/node_modules/tsx/dist/loader.mjs`,
    `${repository}/bench/postgres-rows.ts`,
  ];
  const rate = async (way: string): Promise<number> => {
    const how = [
      "--inside",
      database.address,
      "--only",
      `${way} 64000 1024 durable`,
      "--runs",
      "1",
      "--json",
    ];
    const args = [...program, ...how, "--seconds", String(seconds)];
    const result = await database.host.exec(process.execPath, args);
    if (result.code !== 0) throw new Error(result.stderr);
    const report = JSON.parse(result.stdout) as { results: { runs: { rate: number }[] }[] };
    return report.results[0]?.runs[0]?.rate ?? Number.NaN;
  };
  return { apart: await rate("copy"), whole: await rate("copy whole") };
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "5" },
      json: { type: "boolean", default: false },
    },
  });
  const [rounds, seconds] = [Number(values.runs), Number(values.seconds)];
  if (!(rounds > 0 && seconds > 0)) throw new Error("options must be numbers");
  const lab = await Lab.create("bench-postgres");
  try {
    const host = await lab.publicHost("db");
    const database = await Database.create(host, host.address);
    await database.makeLog(role, role);
    const nodes = [await vpnd(await lab.publicHost("a")), await vpnd(await lab.publicHost("b"))] as const;
    // A new write-ahead log costs more than one that is written over.
    await copyAlone(database, seconds);
    const alone = [await copyAlone(database, seconds)];
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const durable of [true, false]) runs.push(await measure(nodes, database, durable, seconds));
    }
    alone.push(await copyAlone(database, seconds));
    if (values.json) {
      process.stdout.write(
        `${JSON.stringify({ schema: "bench.postgres/v1", ...machineLine(), alone, runs })}\n`,
      );
      return;
    }
    const text = page(alone, runs, rounds, seconds);
    process.stdout.write(`${text}\n`);
    if (rounds < roundsForPage) return;
    writeSection("postgres", text);
    process.stderr.write("# written: docs/performance.md\n");
  } finally {
    await lab.close();
  }
}

function page(alone: readonly Alone[], runs: readonly Run[], rounds: number, seconds: number): string {
  const apart = median(alone.map((one) => one.apart));
  const whole = median(alone.map((one) => one.whole));
  const rows = [true, false].map((durable) => {
    const of = (what: (run: Run) => number): number =>
      median(runs.filter((run) => run.durable === durable).map(what));
    const [there, back] = [of((run) => run.tcp), of((run) => run.tcpBack)];
    return [
      durable ? "durable" : "`--fast`",
      (there / 1e6).toFixed(0),
      (back / 1e6).toFixed(0),
      (Math.min(there, back) / apart).toFixed(2),
      (Math.min(there, back) / original).toFixed(0),
      (of((run) => run.ping) * 1000).toFixed(2),
      of((run) => run.cpu[0] ?? Number.NaN).toFixed(2),
      of((run) => run.cpu[1] ?? Number.NaN).toFixed(2),
      of((run) => run.stored).toFixed(2),
      of((run) => run.load).toFixed(1),
    ];
  });
  const columns = [
    "TCP Mbit/s",
    "back",
    "/ COPY",
    "/ original",
    "ping ms",
    "CPU sender",
    "CPU receiver",
    "stored/byte",
    "load",
  ];
  const { date, machine, kernel, node } = machineLine();
  const mbits = (rate: number): string => (rate / 1e6).toFixed(0);
  return [
    `Measured by \`npm run bench -- postgres --runs ${rounds} --seconds ${seconds}\`. ${date}, ${machine}, ${kernel}, ${node}.`,
    "",
    table(["", ...columns.map((name) => `>${name}`)], rows),
    "",
    `COPY alone, by one connection, of the same rows: ${mbits(apart)} Mbit/s; of whole packets that are not taken apart: ${mbits(whole)}.`,
  ].join("\n");
}
