/** The packet log, from a vpnd or from the database itself. */
import { lookup } from "node:dns/promises";
import { formatEndpoint, parseEndpoint } from "../../common/endpoint.js";
import type { LogPart as PartMessage } from "../../common/gen/vpnd/v1/log_pb.js";
import { DatabaseLog, type LogPart } from "../../common/postgres/log/database-log.js";
import { parseFilter } from "../../common/postgres/log/filter.js";
import { microsOf, recordFrom, timeMessage } from "../../common/postgres/log/messages.js";
import type { LogQuery, LogTime } from "../../common/postgres/log/query.js";
import type { LogRecord } from "../../common/postgres/log/record.js";
import type { LogView, ViewRow } from "../../common/postgres/log/views.js";
import { parsePostgresUrl } from "../../common/postgres/url.js";
import type { Api } from "./api.js";

/** What is asked. */
export interface Question {
  /** Label, or name in the database; empty: the only one, or the one that the URL names. */
  network: string;
  filter: string;
  since?: LogTime;
  until?: LogTime;
  /** The newest ones, so many; absent: all. */
  limit?: number;
}

/** Failures are VpnErrors. */
export interface PacketLog {
  /** What a question's network is called where it is asked; empty: the only one. */
  nameOf(network: string): string;
  /** The oldest first, in pieces. */
  records(question: Question): AsyncIterable<LogRecord[]>;
  /** The newest ones, as many as `limit` says, and then whatever comes. */
  follow(question: Question & { limit: number }): AsyncIterable<LogRecord[]>;
  /** The first so many as the question's limit says. */
  view(view: LogView, question: Question): Promise<ViewRow[]>;
  /** Drops the parts that were over by then, or tells of them. */
  prune(question: Pick<Question, "network">, before: LogTime, dryRun: boolean): Promise<LogPart[]>;
  close(): void;
}

/** @param signal cancels whatever is under way */
export function logOfVpnd(api: Api, signal: AbortSignal): PacketLog {
  const pieces = async function* (answers: AsyncIterable<{ records: Parameters<typeof recordFrom>[0][] }>) {
    for await (const { records } of answers) yield records.map(recordFrom);
  };
  return {
    nameOf: (network) => network,
    records: (question) => pieces(api.log.queryLog({ query: queryMessage(question) }, { signal })),
    follow: (question) => pieces(api.log.followLog({ query: queryMessage(question) }, { signal })),
    view: async (view, question) => {
      const { rows } = await api.log.getLogView({ query: queryMessage(question), view }, { signal });
      return rows.map(({ values }) => values);
    },
    prune: async ({ network }, before, dryRun) => {
      const { parts } = await api.log.pruneLog({ network, before: timeMessage(before), dryRun }, { signal });
      return parts.map(partFrom);
    },
    close: () => api.close(),
  };
}

function queryMessage({ network, filter, since, until, limit }: Question) {
  return {
    network,
    filter,
    ...(since !== undefined && { since: timeMessage(since) }),
    ...(until !== undefined && { until: timeMessage(until) }),
    ...(limit !== undefined && { limit: BigInt(limit) }),
  };
}

export interface DatabaseOptions {
  /** Without password. */
  url: string;
  password: string | undefined;
  /** For payloads that are encrypted. */
  psk: Uint8Array | undefined;
  /** Nothing is changed there. */
  readOnly: boolean;
}

/** @param signal cancels whatever is under way @throws VpnError */
export async function logOfDatabase(options: DatabaseOptions, signal: AbortSignal): Promise<PacketLog> {
  const { url, password, psk, readOnly } = options;
  const address = parsePostgresUrl(url);
  const connect = { address, password, resolve, applicationName: "vpnctl log", readOnly };
  const log = await DatabaseLog.open(connect, psk === undefined ? [] : [psk], signal);
  const nameOf = (network: string): string => (network !== "" ? network : (address.network ?? "default"));
  const query = ({ network, filter: text, ...rest }: Question): LogQuery => {
    const filter = parseFilter(text);
    return { ...rest, network: nameOf(network), ...(filter !== undefined && { filter }) };
  };
  return {
    nameOf,
    records: (question) => log.records(query(question)),
    follow: (question) => log.follow({ ...query(question), limit: question.limit }, signal),
    view: (view, question) => log.view(view, query(question)),
    prune: ({ network }, before, dryRun) => log.prune(nameOf(network), before, dryRun),
    close: () => log.end(),
  };
}

function partFrom({ node, since, until, bytes, dropped }: PartMessage): LogPart {
  return { node, since: microsOf(since), until: microsOf(until), bytes: Number(bytes), dropped };
}

async function resolve(server: string): Promise<string[]> {
  if (parseEndpoint(server) !== undefined) return [server];
  const colon = server.lastIndexOf(":");
  try {
    const found = await lookup(server.slice(0, colon), { all: true, verbatim: false });
    return found.map(({ address }) => formatEndpoint(address, Number(server.slice(colon + 1))));
  } catch {
    return [];
  }
}
