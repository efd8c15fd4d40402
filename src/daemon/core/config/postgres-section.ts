/** What a network's section says about its database. */
import { VpnError } from "../../../common/errors.js";
import { parseBytes } from "../../../common/format/bytes.js";
import { parseDuration } from "../../../common/format/duration.js";
import { checkLogPolicy, type PostgresOptions } from "../postgres/options.js";
import type { NetworkSection } from "./schema.js";

/** @throws VpnError `usage` */
export function postgresSection(section: NetworkSection): PostgresOptions {
  const { postgres: url, fast, psk_file: pskFile, retention, max_size: maxSize, log } = section;
  return {
    url,
    fast,
    encrypted: pskFile !== undefined,
    ...(retention !== "" && { retentionSeconds: amount("retention", retention, parseDuration, "7d") }),
    ...(maxSize !== "" && { maxBytes: amount("max_size", maxSize, parseBytes, "10GiB") }),
    ...(log !== "" && { log: checkLogPolicy(log) }),
  };
}

function amount(
  key: string,
  text: string,
  parse: (text: string) => number | undefined,
  example: string,
): number {
  const value = parse(text);
  if (value !== undefined) return value;
  throw new VpnError("usage", `${key}: ${JSON.stringify(text.slice(0, 64))} cannot be read`, {
    hint: `write it as ${JSON.stringify(example)} or the like`,
  });
}
