import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { VpnError } from "../../../common/errors.js";
import {
  type LogPartSchema,
  LogQuerySchema,
  type LogService,
  type LogQuery as QueryMessage,
} from "../../../common/gen/vpnd/v1/log_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { DatabaseLog, LogPart } from "../../../common/postgres/log/database-log.js";
import { parseFilter } from "../../../common/postgres/log/filter.js";
import { recordMessage, timeFrom, timestampMessage } from "../../../common/postgres/log/messages.js";
import type { LogQuery } from "../../../common/postgres/log/query.js";
import { logViews } from "../../../common/postgres/log/views.js";
import type { Networks } from "../networks.js";
import { PostgresCarrier } from "../postgres/postgres-carrier.js";
import { replay } from "../postgres/replay.js";

/** Questions that are answered at a time: each has a connection, of which a database has few. */
const mostQuestions = 8;
const shownAtFirst = 10;
const fastest = 1_000_000;

export function logService(
  networks: Networks,
  stopping: AbortSignal,
): ServiceImpl<(typeof LogService)["method"]> {
  let questions = 0;
  /** The log of a network, and what it is asked, while somebody listens to the answer. */
  async function* asked<T>(
    message: QueryMessage | undefined,
    caller: AbortSignal,
    answer: (log: DatabaseLog, query: LogQuery, signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const carrier = carrierOf(networks, message?.network ?? "");
    const query = queryOf(message, carrier.networkInDatabase);
    if (questions >= mostQuestions) {
      throw new VpnError("failed", `vpnd answers ${mostQuestions} questions to the log already`, {
        hint: "end one, or ask the database: --postgres URL",
      });
    }
    questions += 1;
    try {
      const signal = AbortSignal.any([caller, stopping]);
      const log = await carrier.openLog(signal);
      try {
        yield* answer(log, query, signal);
      } finally {
        log.end();
      }
    } finally {
      questions -= 1;
    }
  }
  return {
    async *queryLog({ query }, { signal }) {
      for await (const records of asked(query, signal, (log, what) => log.records(what)))
        yield { records: records.map(recordMessage) };
    },
    async getLogView({ query, view }, { signal }) {
      const kind = logViews.find((one) => one === view);
      if (kind === undefined) {
        throw new VpnError("usage", `"${view}" is no view`, { hint: `one of ${logViews.join(", ")}` });
      }
      const rows = await only(asked(query, signal, (log, what) => once(log.view(kind, what))));
      return { rows: rows.map((values) => ({ values: { ...values } })) };
    },
    async pruneLog({ network, before, dryRun }, { signal }) {
      if (before === undefined)
        throw new VpnError("usage", "no time is named", { hint: "such as --before 30d" });
      const query = create(LogQuerySchema, { network });
      const parts = await only(
        asked(query, signal, (log, what) => once(log.prune(what.network, timeFrom(before), dryRun))),
      );
      return { parts: parts.map(partMessage) };
    },
    async *replayLog({ query, to, speed, dryRun }, { signal }) {
      if (!(speed >= 0 && speed <= fastest)) {
        throw new VpnError("usage", `--speed is a number from 0 to ${fastest}`, {
          hint: "2 is twice as fast as it was",
        });
      }
      const carrier = carrierOf(networks, query?.network ?? "");
      const between = carrier.between(to);
      const inject = (data: Uint8Array, ends: Uint32Array): Promise<void> => carrier.inject(data, ends);
      const play = (log: DatabaseLog, what: LogQuery, until: AbortSignal) =>
        replay(log, { query: { ...what, between }, speed, ...(!dryRun && { inject }) }, until);
      for await (const { packets, bytes, leftOut, ...rest } of asked(query, signal, play))
        yield { ...rest, packets: BigInt(packets), bytes: BigInt(bytes), leftOut: BigInt(leftOut) };
    },
    async *followLog({ query }, { signal }) {
      const follow = (log: DatabaseLog, what: LogQuery, until: AbortSignal) =>
        log.follow({ ...what, limit: what.limit ?? shownAtFirst }, until);
      for await (const records of asked(query, signal, follow)) yield { records: records.map(recordMessage) };
    },
  };
}

async function* once<T>(answer: Promise<T>): AsyncGenerator<T> {
  yield await answer;
}

async function only<T>(answers: AsyncGenerator<T>): Promise<T> {
  const { value, done } = await answers.next();
  await answers.return(undefined);
  if (done === true) throw new VpnError("internal", "the log gave no answer");
  return value;
}

function partMessage({ since, until, bytes, ...rest }: LogPart): MessageInitShape<typeof LogPartSchema> {
  return { ...rest, since: timestampMessage(since), until: timestampMessage(until), bytes: BigInt(bytes) };
}

function carrierOf(networks: Networks, name: string): PostgresCarrier {
  const network = networks.get(name);
  if (network.config.asked.postgres === undefined) {
    throw new VpnError("failed", `network ${network.name} has no packet log`, {
      hint: "only networks over PostgreSQL keep one: vpnctl join --postgres URL",
    });
  }
  const { carrier } = network;
  if (carrier instanceof PostgresCarrier) return carrier;
  throw new VpnError("failed", `network ${network.name} is down`, {
    hint: `vpnctl up ${network.name}; or ask the database: --postgres URL`,
  });
}

function queryOf(message: QueryMessage | undefined, network: string): LogQuery {
  const { filter: text = "", since, until, limit } = message ?? {};
  const filter = parseFilter(text);
  return {
    network,
    ...(filter !== undefined && { filter }),
    ...(since !== undefined && { since: timeFrom(since) }),
    ...(until !== undefined && { until: timeFrom(until) }),
    ...(limit !== undefined && { limit: Number(limit) }),
  };
}
