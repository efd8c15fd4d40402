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
