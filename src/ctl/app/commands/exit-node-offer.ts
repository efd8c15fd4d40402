import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printExitNodeChange } from "../exit-node-change.js";

export interface ExitNodeOfferFlags {
  readonly to?: readonly string[];
  readonly allowHost?: boolean;
  readonly dryRun?: boolean;
}

const exitNodeOffer: CtlCommand<ExitNodeOfferFlags, []> = async (context, flags) => {
  const { to = [], allowHost = false, dryRun = false } = flags;
  const request = { network: context.globals.network, clients: [...to], allowHost, dryRun };
  const answer = await withApi(context, (api) => api.exitNode.offerExitNode(request, unaryOptions(context)));
  const whom = to.length === 0 ? "any peer" : to.join(", ");
  const text = `exit node for ${whom} in ${answer.network}`;
  printExitNodeChange(context, "offer", dryRun, answer, text);
  return 0;
};

export default exitNodeOffer;
