import { killSwitchJson } from "../../core/kill-switch-documents.js";
import { killSwitchText } from "../../core/kill-switch-text.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import { type CtlCommand, unaryOptions } from "../context.js";
import { present, withKillSwitchApi } from "../kill-switch.js";
import { planText } from "./plan-output.js";

export interface KillSwitchOnFlags {
  readonly allowLan?: boolean;
  readonly allow?: readonly string[];
  readonly dryRun?: boolean;
}

const killSwitchOn: CtlCommand<KillSwitchOnFlags, []> = async (context, flags) => {
  const { allowLan = false, allow = [], dryRun = false } = flags;
  const answer = await withKillSwitchApi(context, (api) =>
    api.killSwitch.killSwitchOn({ allowLan, allow: [...allow], dryRun }, unaryOptions(context)),
  );
  const now = present(answer.killSwitch);
  if (context.globals.json) {
    const more = { notes: answer.notes, ...(dryRun && { dryRun, plan: answer.plan }) };
    context.out.write(jsonLine(killSwitchJson(now, more)));
  } else if (dryRun) context.out.write(planText(answer.plan) + notes(answer.notes));
  else context.out.write(killSwitchText(now, context.now(), answer.notes));
  return 0;
};

export default killSwitchOn;
