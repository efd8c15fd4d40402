import { VpnError } from "../../../common/errors.js";
import { formatBytes } from "../../../common/format/bytes.js";
import type { LogTime } from "../../../common/postgres/log/query.js";
import { timestampText } from "../../../common/postgres/log/query.js";
import { networkOf } from "../../core/globals.js";
import { jsonLine } from "../../core/present.js";
import { notes, table } from "../../core/table.js";
import type { CtlCommand } from "../context.js";
import { type LogPlaceFlags, withLog } from "../log.js";

export interface LogPruneFlags extends Omit<LogPlaceFlags, "pskFile"> {
  readonly before?: LogTime;
  readonly dryRun?: boolean;
}

const logPrune: CtlCommand<LogPruneFlags, [string?]> = async (context, flags, network) => {
  const { before, dryRun = false } = flags;
  if (before === undefined) {
    throw new VpnError("usage", "no time is named", { hint: "add --before 30d, or a date" });
  }
  const question = { network: networkOf(context.globals, network) };
  const parts = await withLog(context, { ...flags, readOnly: false }, (log) =>
    log.prune(question, before, dryRun),
  );
  const second = (micros: bigint): string => timestampText(micros).replace(/\.\d+Z$/, "Z");
  if (context.globals.json) {
    context.out.write(
      jsonLine({
        schema: "vpnctl.log-prune/v1",
        dryRun,
        bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
        parts: parts.map(({ since, until, ...part }) => ({
          ...part,
          since: timestampText(since),
          until: timestampText(until),
        })),
      }),
    );
    return 0;
  }
  const rows = parts.map(({ node, since, until, bytes, dropped }) => [
    node,
    second(since),
    second(until),
    formatBytes(bytes),
    dropped ? "dropped" : dryRun ? "would be dropped" : "in use: try again",
  ]);
  const text = rows.length === 0 ? "" : table(["NODE", "FROM", "TO", "SIZE", ""], rows);
  context.out.write(
    text + notes([rows.length === 0 ? "no part of the log is older" : "only whole parts are dropped"]),
  );
  return 0;
};

export default logPrune;
