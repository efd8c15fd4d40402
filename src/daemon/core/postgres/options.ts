import { VpnError } from "../../../common/errors.js";
import { formatPostgresUrl, parsePostgresUrl } from "../../../common/postgres/url.js";

/** A network over PostgreSQL, as asked for at `join`; checked and canonical. Holds no password. */
export interface PostgresOptions {
  /** "postgres://USER@HOST:PORT[,…]/DATABASE[?…]" */
  url: string;
  /** Packets are delivered before they are durable. */
  fast: boolean;
  /** Seconds that packets are kept; absent: as the network's owner has it. */
  retentionSeconds?: number;
  /** Bytes that the log may have; absent: as the network's owner has it. */
  maxBytes?: number;
}

export const defaultPostgresMtu = 1400;

/** Checks what came over the API. @throws VpnError `usage` */
export function checkPostgresOptions(raw: PostgresOptions): PostgresOptions {
  const { retentionSeconds, maxBytes } = raw;
  const url = formatPostgresUrl(parsePostgresUrl(raw.url));
  if (retentionSeconds !== undefined && !(retentionSeconds >= 60)) {
    throw new VpnError("usage", "packets must be kept for a minute at least", {
      hint: "give --retention 1h, 7d or the like",
    });
  }
  if (maxBytes !== undefined && !(maxBytes >= 16 << 20)) {
    throw new VpnError("usage", "the log needs room for 16 MiB at least", {
      hint: "give --max-size 10GiB or the like",
    });
  }
  return { ...raw, url };
}
