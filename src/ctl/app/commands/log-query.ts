import { recordJson, recordLine } from "../../core/log-text.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import type { CtlCommand } from "../context.js";
import { type LogFlags, questionOf, withLog } from "../log.js";

/** How many are shown when neither time nor number is given. */
const shown = 100;

const logQuery: CtlCommand<LogFlags, [string?]> = async (context, flags, network) => {
  const { json } = context.globals;
  const asked = questionOf(context, flags, network);
  const everything = flags.since !== undefined || flags.until !== undefined || flags.limit !== undefined;
  const question = everything ? asked : { ...asked, limit: shown };
  return withLog(context, flags, async (log) => {
    let rows = 0;
    for await (const records of log.records(question)) {
      rows += records.length;
      const lines = records.map((record) =>
        json ? jsonLine(recordJson(record, asked.network)) : recordLine(record),
      );
      context.out.write(lines.join(""));
      await context.out.drained?.();
    }
    if (json) return 0;
    if (rows === 0) context.out.write(notes(["no such packets"]));
    else if (!everything && rows >= shown)
      context.out.write(notes([`the newest ${shown}; more: --since 1h`]));
    return 0;
  });
};

export default logQuery;
