/** The packet log, asked directly. */
import { setTimeout as delay } from "node:timers/promises";
import { type ErrorCode, VpnError } from "../../errors.js";
import { type ConnectOptions, connectDatabase } from "../connect.js";
import { faultOf } from "../faults.js";
import { DatabaseError, type WireConnection } from "../wire-connection.js";
import {
  countStatement,
  type LogQuery,
  type LogStream,
  type LogTime,
  recordsStatement,
  type Statement,
  streamStatement,
  timeSql,
} from "./query.js";
import { type LogRecord, readRecord } from "./record.js";
import { type SessionKeys, sessionKeys } from "./session-keys.js";
import { type LogView, type ViewRow, viewRow, viewStatement } from "./views.js";

/** Bytes of packets that are handed on at a time: a gRPC stream holds sixteen such pieces. */
const pieceBytes = 256 << 10;
/** Rows of one answer, of up to 64 KiB each: as many as make so many bytes, if they are as those before. */
const answerBytes = 1 << 20;
const fewestRows = 16;
const mostRows = 256;
/** Of one stream that is followed. */
const rowsAtOnce = 100;
const pollMs = 500;
/** What becomes visible now is no older. */
const oldestMicros = 60_000_000n;
/** Longer ago than any log is old. */
const mostSeconds = 1e9;
/** Where the newest packets are looked for first, seconds: nobody waits for a whole log to be sorted. */
const windows = [60, 3600, 86_400];

/** A part of the log of one node; times are microseconds since 1970. */
export interface LogPart {
  node: string;
  since: bigint;
  until: bigint;
  bytes: number;
  /** False of a part that somebody reads for long, and when it was only asked for. */
  dropped: boolean;
}

export class DatabaseLog {
  readonly #connection: WireConnection;
  readonly #psks: readonly Uint8Array[];
  #keys: SessionKeys = new Map();

  private constructor(connection: WireConnection, psks: readonly Uint8Array[]) {
    this.#connection = connection;
    this.#psks = psks;
  }

  /**
   * @param psks for payloads that are encrypted, as `parsePsk` gave them
   * @param signal ends it, whatever is under way
   * @throws VpnError
   */
  static async open(
    options: ConnectOptions,
    psks: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<DatabaseLog> {
    try {
      const { connection } = await connectDatabase(options, signal);
      const onAbort = (): void => connection.destroy(new VpnError("cancelled", "cancelled"));
      signal.addEventListener("abort", onAbort, { once: true });
      connection.onEnd = () => signal.removeEventListener("abort", onAbort);
      // The server is not to work for somebody who has gone.
      await connection.script(
        "SET client_connection_check_interval = '2s'; SET jit = off; SET timezone = 'UTC'; SET datestyle = 'ISO'",
      );
      return new DatabaseLog(connection, psks);
    } catch (error) {
      throw databaseFailure(error);
    }
  }

  end(): void {
    this.#connection.end();
  }

  /**
   * The oldest first, in pieces, as fast as they are taken: of one moment, whatever is written meanwhile.
   * @throws VpnError
   */
  async *records(query: LogQuery): AsyncGenerator<LogRecord[]> {
    await this.#said(() => this.#connection.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    try {
      await this.#loadKeys(query.network);
      yield* this.#cursor(recordsStatement(await this.#narrowed(await this.#dated(query))));
    } finally {
      await this.#connection.script("ROLLBACK").catch(() => {});
    }
  }

  /**
   * The newest ones, as many as `limit` says, and then whatever comes, until the signal.
   * @throws VpnError
   */
  async *follow(query: LogQuery & { limit: number }, signal: AbortSignal): AsyncGenerator<LogRecord[]> {
    const { limit, ...rest } = query;
    const heads = new Map<string, bigint>();
    const first: LogRecord[] = [];
    await this.#said(() => this.#connection.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    for (const { key, head } of await this.#heads(query.network, false)) heads.set(key, head);
    // What comes later is in parts of the log that end later: others need not be looked at.
    const since = { micros: (await this.#now()) - oldestMicros };
    await this.#loadKeys(query.network);
    if (limit > 0) {
      for await (const some of this.#cursor(recordsStatement(await this.#narrowed(await this.#dated(query)))))
        first.push(...some);
    }
    await this.#said(() => this.#connection.script("COMMIT"));
    yield first;
    while (!signal.aborted) {
      const now = await this.#heads(query.network, true);
      // A session that begins has a key of its own.
      if (now.some(({ key }) => !heads.has(key))) await this.#loadKeys(query.network);
      for (const { key, stream, head } of now) {
        if (!heads.has(key)) heads.set(key, 0n);
        for (let behind = heads.get(key) ?? 0n; behind < head; ) {
          const records = await this.#rows(streamStatement({ ...rest, since }, stream, behind, rowsAtOnce));
          const last = records.at(-1)?.seq ?? head;
          // By now there may be newer ones than the head; and what comes last may not match.
          behind = records.length < rowsAtOnce && last < head ? head : last;
          heads.set(key, behind);
          if (records.length > 0) yield records;
        }
      }
      await delay(pollMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Rows of a view, as many as the query's limit says. @throws VpnError */
  async view(view: LogView, query: LogQuery): Promise<ViewRow[]> {
    const rows = await this.ask(viewStatement(view, await this.#dated(query)));
    return rows.map((values) => viewRow(view, values));
  }

  /** Drops the parts of the log that were over by then, or tells of them. @throws VpnError `not-permitted` for who does not own it */
  async prune(network: string, before: LogTime, dryRun: boolean): Promise<LogPart[]> {
    const parameters = [network, String(dryRun)];
    const time = timeSql(before, (value) => parameters.push(value));
    const micros = (column: string): string => `(extract(epoch FROM ${column}) * 1000000)::bigint`;
    const columns = `node, ${micros("since")}, ${micros("until")}, bytes, dropped`;
    const rows = await this.ask({
      sql: `SELECT ${columns} FROM vpnd.prune($1::text, ${time}, $2::boolean)`,
      parameters,
    });
    return rows.map(([node, since, until, bytes, dropped]) => ({
      node: node ?? "",
      since: BigInt(since ?? 0),
      until: BigInt(until ?? 0),
      bytes: Number(bytes ?? 0),
      dropped: dropped === "t",
    }));
  }

  /** Rows as text, in the order of the statement's columns. @throws VpnError */
  ask({ sql, parameters }: Statement): Promise<(string | null)[][]> {
    return this.#said(() => this.#connection.run(sql, parameters));
  }

  async *#cursor({ sql, parameters }: Statement): AsyncGenerator<LogRecord[]> {
    await this.#said(() => this.#connection.run(`DECLARE records NO SCROLL CURSOR FOR ${sql}`, parameters));
    for (let rows = fewestRows, prepared = 0; ; ) {
      if (rows !== prepared)
        await this.#said(() => this.#connection.prepare("", `FETCH ${rows} FROM records`));
      prepared = rows;
      const records = await this.#fetched([]);
      yield* pieces(records);
      if (records.length < rows) break;
      rows = nextRows(records);
    }
    await this.#said(() => this.#connection.script("CLOSE records"));
  }

  async #rows({ sql, parameters }: Statement): Promise<LogRecord[]> {
    await this.#said(() => this.#connection.prepare("", sql));
    return this.#fetched(parameters);
  }

  async #fetched(parameters: readonly string[]): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    await this.#said(() =>
      this.#connection.fetch(
        "",
        parameters,
        (row) => void records.push(readRecord(row, (session) => this.#keys.get(session))),
      ),
    );
    return records;
  }

  /** By the database's clock, microseconds since 1970. */
  async #now(): Promise<bigint> {
    const [row] = await this.ask({
      sql: "SELECT (extract(epoch FROM now()) * 1000000)::bigint",
      parameters: [],
    });
    return BigInt(row?.[0] ?? 0);
  }

  /** The last number of each stream that may still grow. @param lately of those alone that have grown within the last minute */
  async #heads(
    network: string,
    lately: boolean,
  ): Promise<{ key: string; stream: LogStream; head: bigint }[]> {
    const sql = "SELECT * FROM vpnd.heads($1::text, $2::boolean)";
    const rows = await this.ask({ sql, parameters: [network, String(lately)] });
    return rows.map(([sender, session, receiver, head]) => ({
      key: `${session}/${receiver}`,
      stream: { sender: sender ?? "", session: session ?? "", receiver: receiver ?? null },
      head: BigInt(head ?? 0),
    }));
  }

  async #loadKeys(network: string): Promise<void> {
    this.#keys = await sessionKeys(this, network, this.#psks);
  }

  /** With times instead of ages: so the database knows which parts of the log it can leave alone, and does not lock them all. */
  async #dated(query: LogQuery): Promise<LogQuery> {
    const { since, until, ...rest } = query;
    const now = await this.#now();
    const bounded = (seconds: number): number => Math.max(-mostSeconds, Math.min(seconds, mostSeconds));
    const dated = (time: LogTime): LogTime =>
      "micros" in time ? time : { micros: now - BigInt(Math.round(bounded(time.secondsAgo) * 1_000_000)) };
    return {
      ...rest,
      ...(since !== undefined && { since: dated(since) }),
      ...(until !== undefined && { until: dated(until) }),
    };
  }

  /** The same packets, looked for in a shorter time. */
  async #narrowed(query: LogQuery): Promise<LogQuery> {
    const { limit, since, until } = query;
    if (limit === undefined || since !== undefined || until !== undefined) return query;
    for (const secondsAgo of windows) {
      const narrow = await this.#dated({ ...query, since: { secondsAgo } });
      const [row] = await this.ask(countStatement(narrow, limit));
      if (Number(row?.[0]) >= limit) return narrow;
    }
    return query;
  }

  async #said<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw databaseFailure(error);
    }
  }
}

function* pieces(records: readonly LogRecord[]): Generator<LogRecord[]> {
  let piece: LogRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    piece.push(record);
    bytes += record.packet.length;
    if (bytes < pieceBytes) continue;
    yield piece;
    piece = [];
    bytes = 0;
  }
  if (piece.length > 0) yield piece;
}

/** A power of two, so that it seldom changes. */
function nextRows(records: readonly LogRecord[]): number {
  const bytes = records.reduce((sum, { packet }) => sum + packet.length, 1);
  const fitting = 2 ** Math.floor(Math.log2((answerBytes * records.length) / bytes));
  return Math.min(mostRows, Math.max(fewestRows, fitting));
}

/** Tables and functions that are not there. */
const missing: ReadonlySet<string> = new Set(["3F000", "42P01", "42883"]);
const codes: Readonly<Record<string, ErrorCode>> = {
  "login-refused": "not-permitted",
  "not-permitted": "not-permitted",
};

/** What a user is told when a database or the way to it fails. */
export function databaseFailure(error: unknown): VpnError {
  if (!(error instanceof DatabaseError)) return VpnError.from(error, "failed");
  if (missing.has(error.refusal.code)) {
    return new VpnError("failed", "there is no packet log of this version in the database", {
      hint: "check the URL; or let a vpnd of this version join there, as the log's owner",
    });
  }
  const { code, message, hint } = faultOf(error.refusal);
  return new VpnError(codes[code] ?? "failed", message, hint === undefined ? {} : { hint });
}
