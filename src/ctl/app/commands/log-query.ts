import type { LogView } from "../../../common/postgres/log/views.js";
import { recordJson, recordLine } from "../../core/log-text.js";
import { viewJson, viewText } from "../../core/log-views.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import type { Question } from "../../io/packet-log.js";
import type { CtlCommand, CtlContext } from "../context.js";
import { type LogFlags, questionOf, withLog } from "../log.js";

export interface LogQueryFlags extends LogFlags {
  readonly view?: LogView;
}

const rowsOfView = 50;
/** How many are shown when neither time nor number is given. */
const shown = 100;

const logQuery: CtlCommand<LogQueryFlags, [string?]> = async (context, flags, network) => {
  const { json } = context.globals;
  const asked = questionOf(context, flags, network);
  if (flags.view !== undefined) return showView(context, flags, flags.view, asked);
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
    if (rows === 0) context.out.write(notes([noneOf(log.nameOf(asked.network))]));
    else if (!everything && rows >= shown)
      context.out.write(notes([`the newest ${shown}; more: --since 1h`]));
    return 0;
  });
};

/** Who asks a database and names no network, or a wrong one, finds nothing there. */
const noneOf = (network: string): string =>
  network === "" ? "no such packets" : `no such packets in the log of ${network}`;

async function showView(
  context: CtlContext,
  flags: LogQueryFlags,
  view: LogView,
  asked: Question,
): Promise<number> {
  const { limit = rowsOfView } = asked;
  const { rows, name } = await withLog(context, flags, async (log) => {
    return { rows: await log.view(view, { ...asked, limit }), name: log.nameOf(asked.network) };
  });
  if (context.globals.json) context.out.write(rows.map((row) => jsonLine(viewJson(view, row))).join(""));
  else {
    const more = rows.length >= limit ? [`the first ${limit}; more: --limit`] : [];
    const text = rows.length === 0 ? "" : viewText(view, rows, context.out.look);
    context.out.write(text + notes(rows.length === 0 ? [noneOf(name)] : more));
  }
  return 0;
}

export default logQuery;
