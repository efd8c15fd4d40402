import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printRoutesChange } from "../routes-change.js";

const routesWithdraw: CtlCommand<{ readonly dryRun?: boolean }, string[]> = async (
  context,
  { dryRun = false },
  ...prefixes
) => {
  const request = { network: context.globals.network, prefixes, dryRun };
  const answer = await withApi(context, (api) => api.routes.withdrawRoutes(request, unaryOptions(context)));
  printRoutesChange(
    context,
    "withdraw",
    dryRun,
    answer,
    `withdrew ${prefixes.length === 0 ? "all subnets" : prefixes.join(", ")}`,
  );
  return 0;
};

export default routesWithdraw;
