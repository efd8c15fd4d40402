import { killSwitchJson } from "../../core/kill-switch-documents.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions } from "../context.js";
import { present, withKillSwitchApi } from "../kill-switch.js";
import { planText } from "./plan-output.js";

export interface KillSwitchOffFlags {
  readonly dryRun?: boolean;
}

const killSwitchOff: CtlCommand<KillSwitchOffFlags, []> = async (context, { dryRun = false }) => {
  const answer = await withKillSwitchApi(context, (api) =>
    api.killSwitch.killSwitchOff({ dryRun }, unaryOptions(context)),
  );
  if (context.globals.json) {
    const more = dryRun ? { dryRun, plan: answer.plan } : {};
    context.out.write(jsonLine(killSwitchJson(present(answer.killSwitch), more)));
  } else if (dryRun) context.out.write(planText(answer.plan));
  else context.out.write(`kill switch: off${answer.alreadyOff ? " already" : ""}\n`);
  return 0;
};

export default killSwitchOff;
