/**
 * What the log says in sum. The same statements are views of the database, for whoever asks it by SQL (migration
 * 0005-log-views.sql, which a test holds against these).
 */
import { type LogQuery, logWhere, type Statement } from "./query.js";

export const logViews = ["talkers", "conversations", "connections"] as const;
export type LogView = (typeof logViews)[number];

/** A row by the names of its columns; null ones are absent. Times are RFC 3339 to the microsecond. */
export type ViewRow = Readonly<Record<string, string>>;

/** Rows of a view that are shown at most. */
export const mostViewRows = 10_000;

const columnsOf: Readonly<Record<LogView, readonly string[]>> = {
  talkers: [
    "address",
    "node",
    "sent_packets",
    "sent_bytes",
    "received_packets",
    "received_bytes",
    "peers",
    "first",
    "last",
  ],
  conversations: [
    "protocol",
    "source",
    "source_port",
    "destination",
    "destination_port",
    "sent_packets",
    "sent_bytes",
    "returned_packets",
    "returned_bytes",
    "first",
    "last",
  ],
  connections: [
    "source",
    "source_port",
    "destination",
    "destination_port",
    "state",
    "opened",
    "closed",
    "packets",
    "bytes",
    "last",
  ],
};

const order: Readonly<Record<LogView, string>> = {
  talkers: "sent_bytes + received_bytes DESC, address",
  conversations: "sent_bytes + returned_bytes DESC, first",
  connections: "coalesce(opened, last), source, source_port",
};

/** With a limit: the first so many, in the view's order. */
export function viewStatement(view: LogView, query: LogQuery): Statement {
  const { sql, parameters } = logWhere(query);
  const { limit } = query;
  const rows = Math.min(limit ?? mostViewRows, mostViewRows);
  parameters.push(String(rows));
  const columns = columnsOf[view].join(", ");
  const from = `(SELECT * FROM ${sql})`;
  return {
    sql: `SELECT ${columns} FROM (${viewSql(view, from)}) summary ORDER BY ${order[view]} LIMIT $${parameters.length}::bigint`,
    parameters,
  };
}

/** Names the values of a row. */
export function viewRow(view: LogView, values: readonly (string | null)[]): ViewRow {
  const named = columnsOf[view].map((name, index) => [name, values[index]] as const);
  return Object.fromEntries(
    named.flatMap(([name, value]) =>
      value == null ? [] : [[name, times.has(name) ? rfc3339(value) : value]],
    ),
  );
}

const times: ReadonlySet<string> = new Set(["first", "last", "opened", "closed"]);

/** Of "2026-03-01 14:30:00.123+00". */
function rfc3339(text: string): string {
  const match = /^(\S+) ([\d:]+)(?:\.(\d+))?\+00$/.exec(text);
  return match === null ? text : `${match[1]}T${match[2]}.${(match[3] ?? "").padEnd(6, "0")}Z`;
}

/** @param from `vpnd.log`, or some of it */
export function viewSql(view: LogView, from: string): string {
  return statements[view].replace("vpnd.log", () => from);
}

/** A super-packet counts as the packets it stands for, and its bytes once. */
const counted = `
    total_length AS bytes,
    CASE WHEN offload IS NULL THEN 1 ELSE greatest(1, ceil(
      (total_length - CASE version WHEN 4 THEN ihl * 4 ELSE 39 + coalesce(octet_length(extension_headers), 1) END
        - CASE protocol WHEN 6 THEN 20 + coalesce(octet_length(tcp_options), 0) ELSE 8 END)::numeric
      / nullif(get_byte(offload, 4) + 256 * get_byte(offload, 5), 0)))
    END::bigint AS packets`;

const statements: Readonly<Record<LogView, string>> = {
  talkers: `
SELECT network, address, max(node) AS node,
  coalesce(sum(packets) FILTER (WHERE sends), 0) AS sent_packets, coalesce(sum(bytes) FILTER (WHERE sends), 0) AS sent_bytes,
  coalesce(sum(packets) FILTER (WHERE NOT sends), 0) AS received_packets,
  coalesce(sum(bytes) FILTER (WHERE NOT sends), 0) AS received_bytes,
  count(DISTINCT peer) AS peers, min(at) AS first, max(at) AS last
FROM (
  SELECT network, at, source, destination, sender_name, receiver_name,${counted}
  FROM vpnd.log log WHERE version IS NOT NULL
) packet
CROSS JOIN LATERAL (VALUES
  (source, destination, sender_name, true),
  (destination, source, receiver_name, false)
) side (address, peer, node, sends)
GROUP BY network, address`,
  conversations: `
SELECT network, protocol,
  CASE WHEN onward THEN low ELSE high END AS source, CASE WHEN onward THEN low_port ELSE high_port END AS source_port,
  CASE WHEN onward THEN high ELSE low END AS destination, CASE WHEN onward THEN high_port ELSE low_port END AS destination_port,
  CASE WHEN onward THEN low_packets ELSE high_packets END AS sent_packets,
  CASE WHEN onward THEN low_bytes ELSE high_bytes END AS sent_bytes,
  CASE WHEN onward THEN high_packets ELSE low_packets END AS returned_packets,
  CASE WHEN onward THEN high_bytes ELSE low_bytes END AS returned_bytes,
  first, last
FROM (
  SELECT network, protocol, low, low_port, high, high_port,
    coalesce(min(at) FILTER (WHERE forward) <= min(at) FILTER (WHERE NOT forward), bool_or(forward)) AS onward,
    coalesce(sum(packets) FILTER (WHERE forward), 0) AS low_packets, coalesce(sum(bytes) FILTER (WHERE forward), 0) AS low_bytes,
    coalesce(sum(packets) FILTER (WHERE NOT forward), 0) AS high_packets, coalesce(sum(bytes) FILTER (WHERE NOT forward), 0) AS high_bytes,
    min(at) AS first, max(at) AS last
  FROM (
    SELECT *,
      CASE WHEN forward THEN source ELSE destination END AS low, CASE WHEN forward THEN source_port ELSE destination_port END AS low_port,
      CASE WHEN forward THEN destination ELSE source END AS high, CASE WHEN forward THEN destination_port ELSE source_port END AS high_port
    FROM (
      SELECT network, protocol, at, source, source_port, destination, destination_port,
        (source, coalesce(source_port, 0)) <= (destination, coalesce(destination_port, 0)) AS forward,${counted}
      FROM vpnd.log log WHERE version IS NOT NULL
    ) packet
  ) sided
  GROUP BY network, protocol, low, low_port, high, high_port
) conversation`,
  // A SYN with another number than the one before it begins a connection. Who sent it is its source.
  connections: `
SELECT network,
  CASE WHEN onward THEN low ELSE high END AS source, CASE WHEN onward THEN low_port ELSE high_port END AS source_port,
  CASE WHEN onward THEN high ELSE low END AS destination, CASE WHEN onward THEN high_port ELSE low_port END AS destination_port,
  CASE WHEN reset THEN 'reset' WHEN low_ends AND high_ends THEN 'closed' WHEN low_ends OR high_ends THEN 'closing'
    WHEN opened IS NOT NULL AND NOT answered THEN 'unanswered' ELSE 'open' END AS state,
  opened, CASE WHEN reset OR (low_ends AND high_ends) THEN ended END AS closed, packets, bytes, last
FROM (
  SELECT network, low, low_port, high, high_port, turn,
    coalesce(bool_or(forward) FILTER (WHERE opens),
             min(at) FILTER (WHERE forward) <= min(at) FILTER (WHERE NOT forward), bool_or(forward)) AS onward,
    min(at) FILTER (WHERE opens) AS opened, bool_or(tcp_flags & 18 = 18) AS answered, bool_or(tcp_flags & 4 <> 0) AS reset,
    bool_or(tcp_flags & 1 <> 0 AND forward) AS low_ends, bool_or(tcp_flags & 1 <> 0 AND NOT forward) AS high_ends,
    max(at) FILTER (WHERE tcp_flags & 5 <> 0) AS ended, sum(packets) AS packets, sum(bytes) AS bytes, max(at) AS last
  FROM (
    SELECT *, count(*) FILTER (WHERE opens AND tcp_sequence IS DISTINCT FROM opened_before) OVER (
      PARTITION BY network, low, low_port, high, high_port ORDER BY at, session, seq) AS turn
    FROM (
      SELECT *, lag(tcp_sequence) OVER (
        PARTITION BY network, low, low_port, high, high_port, opens ORDER BY at, session, seq) AS opened_before
      FROM (
        SELECT *,
          CASE WHEN forward THEN source ELSE destination END AS low, CASE WHEN forward THEN source_port ELSE destination_port END AS low_port,
          CASE WHEN forward THEN destination ELSE source END AS high, CASE WHEN forward THEN destination_port ELSE source_port END AS high_port
        FROM (
          SELECT network, at, session, seq, source, source_port, destination, destination_port, tcp_flags, tcp_sequence,
            (source, source_port) <= (destination, destination_port) AS forward, tcp_flags & 18 = 2 AS opens,${counted}
          FROM vpnd.log log WHERE protocol = 6 AND tcp_flags IS NOT NULL
        ) packet
      ) sided
    ) opening
  ) turned
  GROUP BY network, low, low_port, high, high_port, turn
) connection`,
};
