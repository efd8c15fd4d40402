import { VpnError } from "../../../common/errors.js";
import { formatBytes } from "../../../common/format/bytes.js";
import { timeMessage } from "../../../common/postgres/log/messages.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import { type CtlCommand, withApi } from "../context.js";
import { type LogFlags, questionOf } from "../log.js";

export interface LogReplayFlags extends Omit<LogFlags, "postgres" | "postgresPasswordFile" | "pskFile"> {
  readonly to?: string;
  readonly speed?: number;
  readonly dryRun?: boolean;
}

const logReplay: CtlCommand<LogReplayFlags, [string?]> = async (context, flags, network) => {
  const { to, speed = 1, dryRun = false } = flags;
  if (to === undefined) {
    throw new VpnError("usage", "no peer is named", { hint: "add --to PEER; see them: vpnctl peers" });
  }
  const { since, until, limit, ...question } = questionOf(context, flags, network);
  const query = {
    ...question,
    ...(since !== undefined && { since: timeMessage(since) }),
    ...(until !== undefined && { until: timeMessage(until) }),
    ...(limit !== undefined && { limit: BigInt(limit) }),
  };
  return withApi(context, async (api) => {
    const answers = api.log.replayLog({ query, to, speed, dryRun }, { signal: context.signal });
    for await (const { packets, bytes, leftOut, seconds, done } of answers) {
      if (context.globals.json) {
        const counts = { packets: Number(packets), bytes: Number(bytes), leftOut: Number(leftOut), seconds };
        if (done) context.out.write(jsonLine({ schema: "vpnctl.log-replay/v1", to, dryRun, ...counts }));
      } else if (done) {
        const missing = leftOut > 0n ? [`${leftOut} rows are without their packet and were left out`] : [];
        const what = `${packets} packets, ${formatBytes(Number(bytes))}, of ${seconds.toFixed(3)} s`;
        context.out.write(`${dryRun ? "would send" : "sent"} ${what} to ${to}\n${notes(missing)}`);
      } else {
        context.err.write(`${packets} packets, ${seconds.toFixed(0)} s\n`);
      }
    }
    return 0;
  });
};

export default logReplay;
