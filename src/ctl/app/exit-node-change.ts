import type { ExitNodeUse } from "../../common/gen/vpnd/v1/exit_node_pb.js";
import { useJson } from "../core/exit-node-documents.js";
import { jsonLine } from "../core/present.js";
import { notes, printable } from "../core/table.js";
import { planText } from "./commands/plan-output.js";
import type { CtlContext } from "./context.js";

/** As all changes around exit nodes are answered. */
export interface ExitNodeAnswer {
  /** Absent: it is the whole machine's. */
  readonly network?: string;
  readonly notes: readonly string[];
  readonly plan: readonly string[];
  readonly already: boolean;
  readonly use?: ExitNodeUse | undefined;
}

/** @param text what is so now */
export function printExitNodeChange(
  context: CtlContext,
  command: "offer" | "withdraw" | "use" | "off",
  dryRun: boolean,
  answer: ExitNodeAnswer,
  text: string,
): void {
  const { network, already, use } = answer;
  if (context.globals.json) {
    const plan = dryRun ? answer.plan : undefined;
    const document = { schema: "vpnctl.exit-node-change/v1", command, network, already, dryRun };
    const now = use === undefined ? undefined : useJson(use);
    context.out.write(jsonLine({ ...document, use: now, notes: answer.notes, plan }));
    return;
  }
  if (dryRun) context.out.write(planText(answer.plan) + notes(answer.notes));
  else context.out.write(`${printable(text)}${already ? " already" : ""}\n${notes(answer.notes)}`);
}
