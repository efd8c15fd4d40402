import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printRoutesChange } from "../routes-change.js";

const routesOffer: CtlCommand<{ readonly dryRun?: boolean; readonly as?: string }, string[]> = async (
  context,
  { dryRun = false, as = "" },
  ...prefixes
) => {
  const request = { network: context.globals.network, prefixes, as, dryRun };
  const answer = await withApi(context, (api) => api.routes.offerRoutes(request, unaryOptions(context)));
  printRoutesChange(
    context,
    "offer",
    dryRun,
    answer,
    `offering ${prefixes.join(", ")}${as === "" ? "" : ` as ${as}`}`,
  );
  return 0;
};

export default routesOffer;
