import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { peerAndPrefixes, printRoutesChange, whose } from "../routes-change.js";

const routesAccept: CtlCommand<{ readonly dryRun?: boolean }, string[]> = async (
  context,
  { dryRun = false },
  ...words
) => {
  const [peer, prefixes] = peerAndPrefixes("accept", words);
  const request = { network: context.globals.network, peer, prefixes, dryRun };
  const answer = await withApi(context, (api) => api.routes.acceptRoutes(request, unaryOptions(context)));
  printRoutesChange(context, "accept", dryRun, answer, `accepting ${whose(peer, prefixes)}`);
  return 0;
};

export default routesAccept;
