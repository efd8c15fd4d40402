import { VpnError } from "../../common/errors.js";
import { parseBytes } from "../../common/format/bytes.js";

/** Bytes a second of "500K" or "1MiB". @throws VpnError `usage` */
export function parseRate(text: string): number {
  const rate = parseBytes(text.replace(/\/s$/, ""));
  if (rate !== undefined && rate > 0) return rate;
  throw new VpnError("usage", `"${text}" is no rate`, {
    hint: "bytes a second, such as --rate 500K or --rate 1MB",
  });
}

export interface Quota {
  /** Bytes. */
  quota: number;
  /** "day", "month", or empty: once. */
  quotaPeriod: string;
}

/** "10G", "1GB/day" or "500M/month". @throws VpnError `usage` */
export function parseQuota(text: string): Quota {
  const [amount = "", quotaPeriod = "", ...more] = text.split("/");
  const quota = parseBytes(amount);
  if (quota !== undefined && quota > 0 && ["", "day", "month"].includes(quotaPeriod) && more.length === 0)
    return { quota, quotaPeriod };
  throw new VpnError("usage", `"${text}" is no quota`, {
    hint: "bytes, once or for each day or month: --quota 10G, --quota 1G/day, --quota 20G/month",
  });
}
