/**
 * `npm run bench -- postgres [--runs N] [--seconds S] [--json]`: two vpnd that share nothing but a PostgreSQL with its default settings:
 * TCP both ways and round trips, durable and `--fast`, in turn within each round; and what COPY alone gets of the same rows on the same
 * server, before and after. Load on the machine is in the table: figures of a busy one say little.
 */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { Lab, repository } from "../test/lab/lab.js";
import { Database } from "../test/lab/postgres.js";
import { type Daemon, vpnd } from "../test/lab/programs.js";
import { reachable } from "../test/lab/traffic.js";
import { roundTrips, tcp } from "./iperf.js";
import { machineLine } from "./limits-page.js";
import { table } from "./performance-page.js";
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

const role = "bench";
const password = "bench";
const addresses = ["10.9.0.1", "10.9.0.2"] as const;

async function joinBoth(nodes: readonly Daemon[], database: Database, fast: boolean): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    const secret = join(node.host.folder, "password");
    writeFileSync(secret, password, { mode: 0o600 });
    const where = ["join", "--postgres", database.url(role), "--vip", `${addresses[index]}/24`];
    await node.ok([
      ...where,
      "--name",
      `n${index}`,
      "--postgres-password-file",
      secret,
      ...(fast ? ["--fast"] : []),
    ]);
  }
  const [a] = nodes;
  if (a === undefined) throw new Error("no nodes");
  await a.peerUp(addresses[1]);
  await reachable(a.host, addresses[1]);
}

async function measure(
  nodes: readonly [Daemon, Daemon],
  database: Database,
  durable: boolean,
  seconds: number,
): Promise<Run> {
  const [a, b] = nodes;
  await joinBoth(nodes, database, !durable);
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

/** Bits a second that one connection writes by COPY, rows of 64 KB in 1 MiB, durable. */
async function copyAlone(database: Database, seconds: number): Promise<number> {
  const program = [
    "--import",
    `${repository}/node_modules/tsx/dist/loader.mjs`,
    `${repository}/bench/postgres-rows.ts`,
  ];
  const how = ["--inside", database.address, "--only", "copy 64000 1024 durable", "--runs", "1", "--json"];
  const result = await database.host.exec(process.execPath, [
    ...program,
    ...how,
    "--seconds",
    String(seconds),
  ]);
  if (result.code !== 0) throw new Error(result.stderr);
  const report = JSON.parse(result.stdout) as { results: { runs: { rate: number }[] }[] };
  return report.results[0]?.runs[0]?.rate ?? Number.NaN;
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
  const seconds = Number(values.seconds);
  const lab = await Lab.create("bench-postgres");
  try {
    const host = await lab.publicHost("db");
    const database = await Database.create(host, host.address);
    await database.makeLog(role, password);
    const nodes = [await vpnd(await lab.publicHost("a")), await vpnd(await lab.publicHost("b"))] as const;
    // A new write-ahead log costs more than one that is written over.
    await copyAlone(database, 2 * seconds);
    const alone = [await copyAlone(database, seconds)];
    const runs: Run[] = [];
    for (let round = 0; round < Number(values.runs); round++) {
      for (const durable of [true, false]) runs.push(await measure(nodes, database, durable, seconds));
    }
    alone.push(await copyAlone(database, seconds));
    if (values.json) {
      process.stdout.write(`${JSON.stringify({ schema: "bench.postgres/v1", alone, runs })}\n`);
      return;
    }
    const rows = [true, false].map((durable) => {
      const of = (what: (run: Run) => number): number =>
        median(runs.filter((run) => run.durable === durable).map(what));
      return [
        durable ? "durable" : "`--fast`",
        (of((run) => run.tcp) / 1e6).toFixed(0),
        (of((run) => run.tcpBack) / 1e6).toFixed(0),
        (of((run) => run.ping) * 1000).toFixed(2),
        of((run) => run.cpu[0] ?? Number.NaN).toFixed(2),
        of((run) => run.cpu[1] ?? Number.NaN).toFixed(2),
        of((run) => run.stored).toFixed(2),
        of((run) => run.load).toFixed(1),
      ];
    });
    const head = [
      "",
      ">TCP Mbit/s",
      ">back",
      ">ping ms",
      ">CPU sender",
      ">CPU receiver",
      ">stored/byte",
      ">load",
    ];
    const { machine, kernel, node } = machineLine();
    process.stdout.write(`${machine}, ${kernel}, ${node}\n\n${table(head, rows)}\n\n`);
    process.stdout.write(
      `COPY alone: ${alone.map((rate) => (rate / 1e6).toFixed(0)).join(" and ")} Mbit/s, before and after.\n`,
    );
  } finally {
    await lab.close();
  }
}
