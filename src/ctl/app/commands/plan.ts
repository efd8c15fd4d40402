import { networkOf } from "../../core/globals.js";
import { killSwitchJson } from "../../core/kill-switch-documents.js";
import { killSwitchPlanText } from "../../core/kill-switch-text.js";
import { jsonLine } from "../../core/present.js";
import { planJson } from "../../core/system-documents.js";
import { plansText } from "../../core/system-text.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const plan: CtlCommand<object, [string?]> = async (context, _flags, positional) => {
  const network = networkOf(context.globals, positional);
  const { networks, killSwitch } = await withApi(context, (api) =>
    api.system.getPlan({ network }, unaryOptions(context)),
  );
  const { json } = context.globals;
  context.out.write(
    json ? networks.map((one) => jsonLine(planJson(one))).join("") : plansText(networks, context.out.look),
  );
  if (killSwitch !== undefined) {
    context.out.write(
      json ? jsonLine(killSwitchJson(killSwitch)) : `\n${killSwitchPlanText(killSwitch, context.out.look)}`,
    );
  }
  return 0;
};

export default plan;
