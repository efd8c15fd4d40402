import { errorTable } from "../../../common/errors.js";
import { killSwitchJson } from "../../core/kill-switch-documents.js";
import { killSwitchText } from "../../core/kill-switch-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions } from "../context.js";
import { present, withKillSwitchApi } from "../kill-switch.js";

const killSwitchStatus: CtlCommand<object, []> = async (context) => {
  const { killSwitch } = await withKillSwitchApi(context, (api) =>
    api.killSwitch.getKillSwitch({}, unaryOptions(context)),
  );
  const now = present(killSwitch);
  context.out.write(
    context.globals.json ? jsonLine(killSwitchJson(now)) : killSwitchText(now, context.now()),
  );
  return now.on && !now.inForce ? errorTable.degraded.exit : 0;
};

export default killSwitchStatus;
