/** Questions to the packet log, as SQL. Whatever a user typed is a parameter. */
import { columns } from "../columns.js";
import type { Filter } from "./filter.js";
import { filterSql } from "./filter-sql.js";

/** A moment, microseconds since 1970; or so long ago by the database's clock. */
export type LogTime = { micros: bigint } | { secondsAgo: number };

export interface LogQuery {
  /** Its name in the database. */
  network: string;
  filter?: Filter;
  /** Only from this node to that one, by their numbers in the database. */
  between?: { sender: number; receiver: number };
  /** Inclusive. */
  since?: LogTime;
  /** Exclusive. */
  until?: LogTime;
  /** The newest ones, so many; absent: all. */
  limit?: number;
}

export interface Statement {
  sql: string;
  parameters: string[];
}

const inOrder = "ORDER BY at, session, seq";
const newestFirst = "ORDER BY at DESC, session DESC, seq DESC";
/** What `readRecord` reads. */
export const recordColumns = [...columns, "at", "sender_name", "receiver_name"].join(", ");

/** Rows for `readRecord`, the oldest first. */
export function recordsStatement(query: LogQuery): Statement {
  const { sql, parameters } = logWhere(query);
  if (query.limit === undefined) {
    return { sql: `SELECT ${recordColumns} FROM ${sql} ${inOrder}`, parameters };
  }
  parameters.push(String(query.limit));
  const newest = `SELECT ${recordColumns} FROM ${sql} ${newestFirst} LIMIT $${parameters.length}::bigint`;
  return { sql: `SELECT * FROM (${newest}) newest ${inOrder}`, parameters };
}

/** How many there are; counts no further than `most`. */
export function countStatement(query: LogQuery, most: number): Statement {
  const { sql, parameters } = logWhere(query);
  parameters.push(String(most));
  return {
    sql: `SELECT count(*) FROM (SELECT FROM ${sql} LIMIT $${parameters.length}::bigint) found`,
    parameters,
  };
}

/** One stream of packets: of a session, for one receiver, which is null when nobody has their destination. */
export interface LogStream {
  sender: string;
  session: string;
  receiver: string | null;
}

/** The packets of a stream behind a number, the oldest first. */
export function streamStatement(query: LogQuery, stream: LogStream, behind: bigint, most: number): Statement {
  const { sql, parameters } = logWhere(query);
  const bind = (value: string, type: string): string => `$${parameters.push(value)}::${type}`;
  const conditions = [
    `sender = ${bind(stream.sender, "integer")}`,
    `session = ${bind(stream.session, "bigint")}`,
    stream.receiver === null ? "receiver IS NULL" : `receiver = ${bind(stream.receiver, "integer")}`,
    `seq > ${bind(String(behind), "bigint")}`,
  ];
  const limit = `ORDER BY seq LIMIT ${bind(String(most), "bigint")}`;
  return { sql: `SELECT ${recordColumns} FROM ${sql} AND ${conditions.join(" AND ")} ${limit}`, parameters };
}

/** "vpnd.log WHERE …", with everything but the limit. */
export function logWhere({ network, filter, between, since, until }: LogQuery): Statement {
  const parameters = [network];
  const conditions = ["network = $1::text"];
  const time = (bound: LogTime): string => timeSql(bound, (value) => parameters.push(value));
  if (between !== undefined) {
    conditions.push(`sender = $${parameters.push(String(between.sender))}::integer`);
    conditions.push(`receiver = $${parameters.push(String(between.receiver))}::integer`);
  }
  if (since !== undefined) conditions.push(`at >= ${time(since)}`);
  if (until !== undefined) conditions.push(`at < ${time(until)}`);
  if (filter !== undefined) {
    const condition = filterSql(filter, parameters.length + 1);
    conditions.push(condition.sql);
    parameters.push(...condition.parameters);
  }
  return { sql: `vpnd.log WHERE ${conditions.join(" AND ")}`, parameters };
}

/** @param bind gives a value its number */
export function timeSql(time: LogTime, bind: (value: string) => number): string {
  if ("secondsAgo" in time) {
    return `now() - make_interval(secs => $${bind(String(time.secondsAgo))}::double precision)`;
  }
  return `$${bind(timestampText(time.micros))}::timestamptz`;
}

/** RFC 3339 with microseconds. @param micros since 1970 */
export function timestampText(micros: bigint): string {
  const fraction = String(((micros % 1_000_000n) + 1_000_000n) % 1_000_000n).padStart(6, "0");
  const seconds = (micros - BigInt(fraction)) / 1_000_000n;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}
