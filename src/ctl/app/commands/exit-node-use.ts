import { useText } from "../../core/exit-node-text.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printExitNodeChange } from "../exit-node-change.js";

export interface ExitNodeUseFlags {
  readonly allowLan?: boolean;
  readonly killSwitch?: boolean;
  readonly dryRun?: boolean;
}

const exitNodeUse: CtlCommand<ExitNodeUseFlags, [string]> = async (context, flags, asked) => {
  const { allowLan = false, killSwitch = false, dryRun = false } = flags;
  const peers = asked.split(",").filter((peer) => peer !== "");
  const request = { network: context.globals.network, peers, allowLan, killSwitch, dryRun };
  const answer = await withApi(context, (api) => api.exitNode.useExitNode(request, unaryOptions(context)));
  const text = answer.use === undefined ? "" : useText(answer.use);
  printExitNodeChange(context, "use", dryRun, answer, text);
  return 0;
};

export default exitNodeUse;
