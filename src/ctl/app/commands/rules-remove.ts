import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printRulesChange } from "../rules-change.js";

const rulesRemove: CtlCommand<{ readonly dryRun?: boolean }, [number]> = async (
  context,
  { dryRun = false },
  position,
) => {
  const { network } = context.globals;
  const answer = await withApi(context, (api) =>
    api.filter.removeRule({ network, position, dryRun }, unaryOptions(context)),
  );
  const text = `rule ${position} removed: ${answer.removed?.text ?? ""}`;
  printRulesChange(context, { ...answer, notes: [] }, dryRun, text);
  return 0;
};

export default rulesRemove;
