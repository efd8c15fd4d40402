import { VpnError } from "../../../common/errors.js";
import type { LogService, LogQuery as QueryMessage } from "../../../common/gen/vpnd/v1/log_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { DatabaseLog } from "../../../common/postgres/log/database-log.js";
import { parseFilter } from "../../../common/postgres/log/filter.js";
import { recordMessage, timeFrom } from "../../../common/postgres/log/messages.js";
import type { LogQuery } from "../../../common/postgres/log/query.js";
import type { Networks } from "../networks.js";
import { PostgresCarrier } from "../postgres/postgres-carrier.js";

/** Questions that are answered at a time: each has a connection, of which a database has few. */
const mostQuestions = 8;
const shownAtFirst = 10;

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
    async *followLog({ query }, { signal }) {
      const follow = (log: DatabaseLog, what: LogQuery, until: AbortSignal) =>
        log.follow({ ...what, limit: what.limit ?? shownAtFirst }, until);
      for await (const records of asked(query, signal, follow)) yield { records: records.map(recordMessage) };
    },
  };
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
