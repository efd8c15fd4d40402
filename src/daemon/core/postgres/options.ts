import { VpnError } from "../../../common/errors.js";
import { type LogPolicy, parseLogPolicy } from "../../../common/postgres/log-policy.js";
import { formatPostgresUrl, parsePostgresUrl } from "../../../common/postgres/url.js";

/** What the owner of a network wants kept of it; what is absent stays as it is. */
export interface LogRules {
  /** Seconds that packets are kept. */
  retentionSeconds?: number;
  /** Bytes that the log may have. */
  maxBytes?: number;
  log?: LogPolicy;
}

/** A network over PostgreSQL, as asked for at `join`; checked and canonical. Holds no password and no key. */
export interface PostgresOptions extends LogRules {
  /** "postgres://USER@HOST:PORT[,…]/DATABASE[?…]" */
  url: string;
  /** Packets are delivered before they are durable. */
  fast: boolean;
  /** Payloads are encrypted with a PSK. */
  encrypted: boolean;
}

export const defaultPostgresMtu = 1400;

/** @throws VpnError `usage` */
export function checkLogPolicy(text: string): LogPolicy {
  const policy = parseLogPolicy(text);
  if (policy !== undefined) return policy;
  throw new VpnError("usage", `${JSON.stringify(text.slice(0, 64))} does not say what is kept`, {
    hint: "give --log full, headers or sample=N, such as sample=100",
  });
}

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
