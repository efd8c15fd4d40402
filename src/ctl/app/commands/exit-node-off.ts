import { type CtlCommand, unaryOptions } from "../context.js";
import { printExitNodeChange } from "../exit-node-change.js";
import { withKillSwitchApi } from "../kill-switch.js";

const exitNodeOff: CtlCommand<{ readonly dryRun?: boolean }, []> = async (context, { dryRun = false }) => {
  // Whoever is cut off, and finds vpnd dead, is told how to get out.
  const answer = await withKillSwitchApi(context, (api) =>
    api.exitNode.stopExitNode({ dryRun }, unaryOptions(context)),
  );
  printExitNodeChange(context, "off", dryRun, answer, "exit node: off");
  return 0;
};

export default exitNodeOff;
