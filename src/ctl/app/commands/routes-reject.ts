import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { peerAndPrefixes, printRoutesChange, whose } from "../routes-change.js";

const routesReject: CtlCommand<{ readonly dryRun?: boolean }, string[]> = async (
  context,
  { dryRun = false },
  ...words
) => {
  const [peer, prefixes] = peerAndPrefixes("reject", words);
  const request = { network: context.globals.network, peer, prefixes, dryRun };
  const answer = await withApi(context, (api) => api.routes.rejectRoutes(request, unaryOptions(context)));
  printRoutesChange(context, "reject", dryRun, answer, `rejecting ${whose(peer, prefixes)}`);
  return 0;
};

export default routesReject;
