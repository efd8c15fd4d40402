import { recordJson, recordLine } from "../../core/log-text.js";
import { jsonLine } from "../../core/present.js";
import type { CtlCommand } from "../context.js";
import { type LogFlags, questionOf, withLog } from "../log.js";

/** How many of the past go first. */
const shownAtFirst = 10;

const logTail: CtlCommand<Omit<LogFlags, "since" | "until">, [string?]> = async (context, flags, network) => {
  const { json } = context.globals;
  const question = questionOf(context, flags, network);
  const { limit = shownAtFirst } = question;
  return withLog(context, flags, async (log) => {
    for await (const records of log.follow({ ...question, limit })) {
      const lines = records.map((record) =>
        json ? jsonLine(recordJson(record, question.network)) : recordLine(record),
      );
      if (lines.length > 0) context.out.write(lines.join(""));
      await context.out.drained?.();
    }
    return 0;
  });
};

export default logTail;
