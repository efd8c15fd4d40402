import { VpnError } from "../../../common/errors.js";
import type { CtlCommand, CtlContext } from "../context.js";
import { unaryOptions, withApi } from "../context.js";
import { printRulesChange } from "../rules-change.js";

export interface AddRuleFlags {
  readonly from?: readonly string[];
  readonly position?: number;
  readonly default?: boolean;
  readonly dryRun?: boolean;
}

async function addRule(
  context: CtlContext,
  flags: AddRuleFlags,
  services: string[],
  isAllow: boolean,
): Promise<number> {
  const verb = isAllow ? "allow" : "deny";
  const { from = [], position = 0, dryRun = false } = flags;
  const { network } = context.globals;
  const rest = services.length > 0 || from.length > 0 || position > 0;
  if (flags.default === true) {
    if (rest) {
      throw new VpnError("usage", "--default stands alone", {
        hint: `write either vpnctl ${verb} --default, or a rule`,
      });
    }
    const answer = await withApi(context, (api) =>
      api.filter.setDefault({ network, allow: isAllow, dryRun }, unaryOptions(context)),
    );
    printRulesChange(context, { ...answer, notes: [] }, dryRun, `${verb} what no rule matches`);
    return 0;
  }
  if (services.length === 0 && from.length === 0) {
    throw new VpnError("usage", `${verb} what?`, {
      hint: `as in: vpnctl ${verb} tcp/22, vpnctl ${verb} --from PEER, vpnctl ${verb} --default`,
    });
  }
  const request = { network, allow: isAllow, services, from: [...from], position, dryRun };
  const answer = await withApi(context, (api) => api.filter.addRule(request, unaryOptions(context)));
  const text = answer.rules?.rules[answer.position - 1]?.text ?? verb;
  const what = answer.alreadyThere ? "is there already" : "added";
  printRulesChange(context, answer, dryRun, `rule ${answer.position} ${what}: ${text}`);
  return 0;
}

export const allow: CtlCommand<AddRuleFlags, string[]> = (context, flags, ...services) =>
  addRule(context, flags, services, true);

export const deny: CtlCommand<AddRuleFlags, string[]> = (context, flags, ...services) =>
  addRule(context, flags, services, false);
