import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printRulesChange } from "../rules-change.js";

const rulesClear: CtlCommand<{ readonly dryRun?: boolean }, []> = async (context, { dryRun = false }) => {
  const { network } = context.globals;
  const answer = await withApi(context, (api) =>
    api.filter.clearRules({ network, dryRun }, unaryOptions(context)),
  );
  printRulesChange(context, { ...answer, notes: [] }, dryRun, "no rules any more: everything may come in");
  return 0;
};

export default rulesClear;
