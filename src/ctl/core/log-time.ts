import { VpnError } from "../../common/errors.js";
import { parseDuration } from "../../common/format/duration.js";
import type { LogTime } from "../../common/postgres/log/query.js";

/**
 * "1h": so long ago by the database's clock; or a date, a date and time, or RFC 3339 with up to six digits behind the point.
 * Without a zone it is the caller's own time.
 */
export function parseLogTime(flag: string, text: string): LogTime {
  const secondsAgo = parseDuration(text);
  if (secondsAgo !== undefined) return { secondsAgo };
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(?:\.(\d{1,6}))?)?(Z|[+-]\d{2}:\d{2})?$/.exec(text);
  if (match !== null) {
    const [, date, minutes = "00:00", seconds = ":00", fraction = "", zone = ""] = match;
    const ms = Date.parse(`${date}T${minutes}${seconds}${zone}`);
    if (Number.isFinite(ms)) return { micros: BigInt(ms) * 1000n + BigInt(fraction.padEnd(6, "0")) };
  }
  throw new VpnError("usage", `${flag}: "${text}" is no time`, {
    hint: `write ${flag} 15m for fifteen minutes ago, or ${flag} "2026-03-01 14:30"`,
  });
}
