import { VpnError } from "../../common/errors.js";
import type { NetworkRules } from "../../common/gen/vpnd/v1/filter_pb.js";
import { rulesJson } from "../core/filter-documents.js";
import { jsonLine } from "../core/present.js";
import { notes, printable } from "../core/table.js";
import { planText } from "./commands/plan-output.js";
import type { CtlContext } from "./context.js";

/** What vpnd answers to a change of rules. */
export interface RulesAnswer {
  readonly network: string;
  readonly rules?: NetworkRules | undefined;
  readonly plan: readonly string[];
  readonly notes: readonly string[];
}

/** Prints what a change of rules did, or would do. @param text what to tell people */
export function printRulesChange(
  context: CtlContext,
  answer: RulesAnswer,
  dryRun: boolean,
  text: string,
): void {
  const { rules } = answer;
  if (rules === undefined) throw new VpnError("internal", "vpnd did not say which rules there are");
  if (context.globals.json) {
    const plan = dryRun ? answer.plan : undefined;
    context.out.write(
      jsonLine({ schema: "vpnctl.rules-change/v1", ...rulesJson(rules), dryRun, notes: answer.notes, plan }),
    );
    return;
  }
  const data = dryRun ? planText(answer.plan) : `${printable(`${answer.network}: ${text}`)}\n`;
  context.out.write(data + notes(answer.notes));
}
