import { columns } from "../../../common/postgres/columns.js";
import { seqOf } from "../../../common/postgres/row.js";
import { DatabaseError, type WireConnection } from "../../../common/postgres/wire-connection.js";
import { Incoming, type Refusal } from "../../core/postgres/incoming.js";
import type { Cursor, Nodes } from "../../core/postgres/nodes.js";

export interface LogReaderEvents {
  /** Super-packets for the device, in memory that is used again afterwards. */
  onItems(data: Buffer, ends: Uint32Array): void;
  onControl(sender: number, session: bigint, message: Uint8Array): void;
  /** A row that is not delivered. */
  onRefused(reason: Refusal | "stale", rows: number): void;
}

export interface LogReaderOptions {
  /** Number of this node. */
  me: number;
  /** Whether packets to an address may come here. */
  takes: (destination: Uint8Array) => boolean;
  nodes: Nodes;
  events: LogReaderEvents;
}

/** Rows of one question. */
const mostRows = 256;
/** What a statement names is not there: a part of the log was dropped the moment that it was to be read. */
const partGone = "42P01";
/** Since then everything was read: nothing can have become too old (10 s), milliseconds. */
const freshMs = 9_000;

/** Reads what is for this node, session by session, each behind what was read of it before. */
export class LogReader {
  /** Once: nothing can be read any more. */
  onFail: (error: unknown) => void = () => {};
  readonly #connection: WireConnection;
  readonly #options: LogReaderOptions;
  readonly #incoming = new Incoming();
  /** Sessions that are being read; true: there is more by now. */
  readonly #reading = new Map<bigint, boolean>();
  /** Senders whose statement is there. */
  readonly #prepared = new Set<number>();

  constructor(connection: WireConnection, options: LogReaderOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** To be called once for a connection. */
  static async prepare(connection: WireConnection): Promise<void> {
    // Planning anew would take longer than the question does.
    await connection.script("SET plan_cache_mode = force_generic_plan");
  }

  /** Reads all there is. */
  read(cursor: Cursor): void {
    const { session } = cursor;
    if (this.#reading.has(session)) {
      this.#reading.set(session, true);
      return;
    }
    this.#reading.set(session, false);
    this.#readAll(cursor)
      .catch((error: unknown) => this.onFail(error))
      .finally(() => this.#reading.delete(session));
  }

  async #readAll(cursor: Cursor): Promise<void> {
    const { me } = this.#options;
    const { session, sender } = cursor;
    for (;;) {
      this.#reading.set(session, false);
      const before = cursor.behind;
      const askedAt = performance.now();
      let rows = 0;
      let first = 0n;
      const parameters = [me, session, before, mostRows].map(String);
      await this.#fetch(sender, parameters, (row) => {
        if (rows === 0) first = seqOf(row);
        rows += 1;
        this.#row(row, cursor);
      });
      this.#deliver();
      const fresh = askedAt - cursor.caughtUpAt <= freshMs;
      const missed = cursor.caughtUpAt > 0 || !cursor.older;
      if (rows > 0 && missed && !fresh) this.#countStale(cursor, before, first);
      // Nothing after a while: what there was may have been too old, and is counted when something comes behind it.
      if (rows < mostRows && (rows > 0 || fresh)) cursor.caughtUpAt = askedAt;
      if (rows < mostRows && this.#reading.get(session) !== true) return;
    }
  }

  /** Each sender's packets have a function of their own. */
  async #fetch(sender: number, parameters: readonly string[], onRow: (row: Buffer) => void): Promise<void> {
    const statement = `fetch_${sender}`;
    const fetch = (): Promise<void> => this.#connection.fetch(statement, parameters, onRow);
    if (!this.#prepared.has(sender)) {
      this.#prepared.add(sender);
      const named = columns.map((column) => `p.${column}`).join(", ");
      const call = `vpnd.${statement}($1::integer, $2::bigint, $3::bigint, $4::integer)`;
      await this.#connection.prepare(statement, `SELECT ${named} FROM ${call} p`);
    }
    try {
      await fetch();
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.refusal.code !== partGone) throw error;
      await fetch();
    }
  }

  /** What was too old by the time that it could be read is not even fetched: it is counted by the numbers that are missing. */
  #countStale(cursor: Cursor, behind: bigint, before: bigint): void {
    if (before - behind < 2n) return;
    const { me, events } = this.#options;
    const { sender, session } = cursor;
    this.#connection
      .run(`SELECT vpnd.count_stale($1::integer, $2::integer, $3::bigint, $4::bigint, $5::bigint)`, [
        ...[me, sender, session, behind, before].map(String),
      ])
      .then(
        ([row]) => events.onRefused("stale", Number(row?.[0] ?? 0)),
        // The connection is over: so is what is counted.
        () => {},
      );
  }

  #row(row: Buffer, cursor: Cursor): void {
    const { nodes, events, me, takes } = this.#options;
    // Before it goes anywhere: whatever happens then, it is not delivered again.
    const seq = seqOf(row);
    // Asked for was what is behind; this was read already.
    if (seq <= cursor.behind) {
      events.onRefused("malformed-row", 1);
      return;
    }
    cursor.behind = seq;
    const verdict = this.#incoming.add(row, cursor.sender, {
      me,
      takes,
      maySend: (node, source) => nodes.maySend(node, source),
      opening: cursor.opening,
    });
    if (verdict.kind === "control") events.onControl(cursor.sender, cursor.session, verdict.message);
    else if (verdict.kind === "refused") events.onRefused(verdict.reason, 1);
    else nodes.received(cursor.sender, verdict.bytes, verdict.packets);
    if (this.#incoming.full) this.#deliver();
  }

  #deliver(): void {
    const items = this.#incoming.take();
    if (items !== undefined) this.#options.events.onItems(items.data, items.ends);
  }
}
