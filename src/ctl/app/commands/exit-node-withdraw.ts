import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printExitNodeChange } from "../exit-node-change.js";

const exitNodeWithdraw: CtlCommand<{ readonly dryRun?: boolean }, []> = async (
  context,
  { dryRun = false },
) => {
  const request = { network: context.globals.network, dryRun };
  const answer = await withApi(context, (api) =>
    api.exitNode.withdrawExitNode(request, unaryOptions(context)),
  );
  printExitNodeChange(context, "withdraw", dryRun, answer, `no exit node in ${answer.network}`);
  return 0;
};

export default exitNodeWithdraw;
