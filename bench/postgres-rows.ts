/**
 * `npm run bench -- postgres-rows [--runs N] [--seconds S] [--json] [--only CASE]`: how fast rows get into the log of a PostgreSQL: by COPY and by
 * INSERT … unnest, taken apart and whole, in several sizes, durable and not; and how long a packet takes when nothing else is under way.
 * One connection, nothing else on the machine. What is written is thrown away between the runs.
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { columns, kinds } from "../src/common/postgres/columns.js";
import { connectDatabase } from "../src/common/postgres/connect.js";
import { type PacketFields, takeApart } from "../src/common/postgres/packet.js";
import { copyHeader, copyTrailer, RowWriter } from "../src/common/postgres/row.js";
import { parsePostgresUrl } from "../src/common/postgres/url.js";
import type { WireConnection } from "../src/common/postgres/wire-connection.js";
import { makeSocket } from "../src/daemon/io/native.js";
import { migrate } from "../src/daemon/io/postgres/migrate.js";
import { resolveServer } from "../src/daemon/io/server-names.js";
import { Lab, repository } from "../test/lab/lab.js";
import { Database } from "../test/lab/postgres.js";
import { table } from "./performance-page.js";
import { median } from "./statistics.js";

interface Case {
  way: "copy" | "copy whole" | "insert whole";
  /** Bytes of one packet, and of one statement. */
  packet: number;
  batch: number;
  durable: boolean;
}

interface Figures {
  /** Of packets, bits a second. */
  rate: number;
  rows: number;
  /** Of this process, share of one processor. */
  ownCpu: number;
  /** Bytes of write-ahead log, and of the table with its index, for each byte of packets. */
  wal: number;
  stored: number;
}

const role = "bench";
const password = "bench";
const cases: readonly Case[] = [
  ...[1400, 8000, 64_000].flatMap((packet) =>
    (["copy", "copy whole", "insert whole"] as const).map((way) => ({
      way,
      packet,
      batch: 256 << 10,
      durable: true,
    })),
  ),
  ...[64 << 10, 1 << 20].map((batch) => ({ way: "copy" as const, packet: 8000, batch, durable: true })),
  { way: "copy", packet: 8000, batch: 256 << 10, durable: false },
  { way: "copy", packet: 64_000, batch: 1 << 20, durable: true },
  { way: "copy whole", packet: 64_000, batch: 1 << 20, durable: true },
  { way: "copy", packet: 64_000, batch: 1 << 20, durable: false },
];

/** A TCP segment. */
function packetOf(length: number): Buffer {
  const packet = Buffer.alloc(length);
  packet[0] = 0x45;
  packet.writeUInt16BE(length, 2);
  packet[8] = 64;
  packet[9] = 6;
  packet.set([10, 0, 0, 1, 10, 0, 0, 2], 12);
  packet[32] = 0x80;
  for (let at = 52; at < length; at++) packet[at] = (at * 2_654_435_761) >>> 13;
  return packet;
}

class Writer {
  #seq = 0n;

  constructor(
    readonly connection: WireConnection,
    readonly node: number,
    readonly session: bigint,
  ) {}

  write({ way, packet, batch }: Case, bytes: Buffer): Promise<unknown> {
    const count = Math.max(1, Math.floor(batch / packet));
    if (way === "insert whole") return this.#insert(bytes, count);
    const fields = way === "copy" ? takeApart(bytes) : undefined;
    const writer = new RowWriter(Buffer.allocUnsafe(count * (packet + 512)));
    writer.raw(copyHeader);
    for (let i = 0; i < count; i++) writer.row(this.#row(bytes, fields));
    writer.raw(copyTrailer);
    const sql = `COPY vpnd.packet_${this.node} (${columns.join(", ")}) FROM STDIN (FORMAT binary)`;
    return this.connection.copyIn(sql, writer.take());
  }

  #row(bytes: Buffer, fields: PacketFields | undefined) {
    this.#seq += 1n;
    const { node: sender, session } = this;
    const row = { sender, session, seq: this.#seq, receiver: 2, sent: 1_700_000_000_000_000n, offload: null };
    if (fields === undefined) return { ...row, kind: kinds.raw, fields: null, payload: bytes };
    return { ...row, kind: kinds.packet, fields, payload: fields.payload };
  }

  /** As text: what the usual drivers send. */
  #insert(bytes: Buffer, count: number): Promise<unknown> {
    const first = this.#seq + 1n;
    this.#seq += BigInt(count);
    const hex = `"\\\\x${bytes.toString("hex")}"`;
    return this.connection.run(
      `INSERT INTO vpnd.packet_${this.node} (sender, session, seq, sent, receiver, kind, payload)
       SELECT ${this.node}, ${this.session}, $1::bigint + n, now(), 2, 2, bytes
       FROM unnest($2::bytea[]) WITH ORDINALITY AS rows (bytes, n)`,
      [String(first), `{${Array.from({ length: count }, () => hex).join(",")}}`],
    );
  }
}

async function measure(writer: Writer, one: Case, seconds: number): Promise<Figures> {
  const { connection, node } = writer;
  await connection.script(`SET synchronous_commit = ${one.durable ? "on" : "off"}`);
  await connection.script(`TRUNCATE vpnd.packet_${node}`);
  const number = async (sql: string): Promise<number> => Number((await connection.run(sql))[0]?.[0]);
  const wal = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn";
  const size = `SELECT coalesce(sum(pg_total_relation_size(name::regclass)), 0)
                FROM (SELECT 'vpnd.' || name AS name FROM vpnd.part WHERE node = ${node}) parts`;
  const bytes = packetOf(one.packet);
  const [walBefore, sizeBefore] = [await number(wal), await number(size)];
  const cpu = process.cpuUsage();
  const start = performance.now();
  let batches = 0;
  // Two under way, as the carrier has.
  let before: Promise<unknown> = Promise.resolve();
  while (performance.now() - start < seconds * 1000) {
    const next = writer.write(one, bytes);
    await before;
    before = next;
    batches += 1;
  }
  await before;
  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rows = batches * Math.max(1, Math.floor(one.batch / one.packet));
  const carried = rows * one.packet;
  return {
    rate: (carried * 8) / elapsed,
    rows: rows / elapsed,
    ownCpu: (user + system) / 1e6 / elapsed,
    wal: ((await number(wal)) - walBefore) / carried,
    stored: ((await number(size)) - sizeBefore) / carried,
  };
}

/** Seconds from the first byte of a small packet's COPY until another connection has read its row, and until it was notified. */
async function idle(
  writer: Writer,
  reader: WireConnection,
  listener: WireConnection,
): Promise<[number, number]> {
  const one: Case = { way: "copy", packet: 84, batch: 84, durable: true };
  const named = columns.map((column) => `p.${column}`).join(", ");
  await reader.prepare(
    "one",
    `SELECT ${named} FROM vpnd.fetch_${writer.node}(2, $1::bigint, $2::bigint, 64) p`,
  );
  const notified: number[] = [];
  const read: number[] = [];
  for (let behind = 0; read.length < 300; behind++) {
    const heard = new Promise<void>((resolve) => {
      listener.onNotification = () => resolve();
    });
    const start = performance.now();
    const written = writer.write(one, packetOf(one.packet));
    const notify = writer.connection.script("NOTIFY bench, '1'");
    await heard;
    notified.push((performance.now() - start) / 1000);
    await reader.fetch("one", [String(writer.session), String(behind)], () => {});
    read.push((performance.now() - start) / 1000);
    await Promise.all([written, notify]);
  }
  return [median(notified), median(read)];
}

const nameOf = ({ way, packet, batch, durable }: Case): string =>
  `${way} ${packet} ${batch >> 10} ${durable ? "durable" : "fast"}`;

async function inside(
  address: string,
  chosen: readonly Case[],
  runs: number,
  seconds: number,
  json: boolean,
): Promise<void> {
  const options = {
    address: parsePostgresUrl(`postgres://${role}@${address}/vpnd?sslmode=disable`),
    password,
    makeSocket,
    resolve: resolveServer,
    applicationName: "bench",
  };
  const open = async (): Promise<WireConnection> =>
    (await connectDatabase(options, new AbortController().signal)).connection;
  const [connection, reader, listener] = [await open(), await open(), await open()];
  await migrate(connection);
  const sql =
    "SELECT node, session FROM vpnd.open_session('bench', $1::inet, $2::text, $3::bytea, true, NULL, NULL)";
  const session = async (host: string) =>
    (await connection.run(sql, [host, "bench", `\\x${host.length}1`]))[0];
  const [node, number] = (await session("10.0.0.1")) ?? [];
  await session("10.0.0.2");
  const writer = new Writer(connection, Number(node), BigInt(number ?? 0));
  await listener.script("LISTEN bench");
  const [notified, read] = await idle(writer, reader, listener);
  // Its log is written over before anything is measured: a new one costs more.
  for (const one of chosen.slice(0, 1)) await measure(writer, one, seconds);
  const results: { one: Case; runs: Figures[] }[] = chosen.map((one) => ({ one, runs: [] }));
  for (let round = 0; round < runs; round++) {
    for (const result of results) result.runs.push(await measure(writer, result.one, seconds));
  }
  for (const one of [connection, reader, listener]) one.end();
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ schema: "bench.postgres-rows/v1", notified, read, results })}\n`,
    );
    return;
  }
  const of = (all: readonly Figures[], what: keyof Figures): number =>
    median(all.map((figures) => figures[what]));
  process.stdout.write(
    table(
      [
        "way",
        "bytes a packet",
        "KiB a statement",
        "durable",
        "Mbit/s",
        "rows/s",
        "own CPU",
        "WAL/byte",
        "stored/byte",
      ],
      results.map(({ one, runs: all }) => [
        one.way,
        String(one.packet),
        String(one.batch >> 10),
        one.durable ? "yes" : "no",
        (of(all, "rate") / 1e6).toFixed(0),
        of(all, "rows").toFixed(0),
        of(all, "ownCpu").toFixed(2),
        of(all, "wal").toFixed(2),
        of(all, "stored").toFixed(2),
      ]),
    ),
  );
  process.stdout.write(
    `\nA packet of 84 bytes alone: notified after ${(notified * 1000).toFixed(2)} ms, read after ${(read * 1000).toFixed(2)} ms.\n`,
  );
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "2" },
      json: { type: "boolean", default: false },
      inside: { type: "string" },
      only: { type: "string", default: "" },
    },
  });
  if (values.inside !== undefined) {
    const chosen = cases.filter((one) => values.only === "" || nameOf(one) === values.only);
    await inside(values.inside, chosen, Number(values.runs), Number(values.seconds), values.json);
    return;
  }
  const lab = await Lab.create("bench-postgres");
  try {
    const host = await lab.publicHost("db");
    const database = await Database.create(host, host.address);
    await database.makeLog(role, password);
    const again = [
      "--import",
      `${repository}/node_modules/tsx/dist/loader.mjs`,
      fileURLToPath(import.meta.url),
    ];
    const timeoutMs = 600_000;
    const result = await host.exec(process.execPath, [...again, "--inside", host.address, ...args], {
      timeoutMs,
    });
    process.stdout.write(result.stdout);
    process.stderr.write(result.stderr);
    if (result.code !== 0) throw new Error(`the measuring process ended with ${result.code}`);
  } finally {
    await lab.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
