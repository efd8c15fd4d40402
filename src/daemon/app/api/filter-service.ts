import type { FilterService } from "../../../common/gen/vpnd/v1/filter_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import { type Rule, type Rules, ruleText } from "../../core/filter/rules.js";
import { serviceText } from "../../core/filter/service.js";
import { addRule, clearRules, type RulesChange, removeRule, setDefault } from "../filter/change-rules.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";

/** Filter rules. */
export function filterService(networks: Networks): ServiceImpl<(typeof FilterService)["method"]> {
  return {
    async listRules({ network }) {
      return { networks: networks.listed(network).map((one) => networkRules(one, one.filter.rules)) };
    },
    async addRule({ allow, ...request }) {
      const result = await addRule(networks, { ...request, verdict: allow ? "allow" : "deny" });
      const { at: position, alreadyThere, notes } = result;
      return { ...changed(result), position, alreadyThere, notes };
    },
    async removeRule({ network, position, dryRun }) {
      const result = await removeRule(networks, network, position, dryRun);
      return { ...changed(result), removed: ruleMessage(result.removed, new Map()) };
    },
    async clearRules({ network, dryRun }) {
      return changed(await clearRules(networks, network, dryRun));
    },
    async setDefault({ network, allow, dryRun }) {
      return changed(await setDefault(networks, network, allow ? "allow" : "deny", dryRun));
    },
  };
}

function changed({ network, rules, plan }: RulesChange) {
  return { network: network.name, rules: networkRules(network, rules), plan };
}

function networkRules(network: Network, { rules, others }: Rules) {
  const names = new Map(network.filter.known().map(({ virtualIp, name = "" }) => [virtualIp, name]));
  return {
    network: network.name,
    allowOthers: others === "allow",
    rules: rules.map((rule) => ruleMessage(rule, names)),
    filtered: BigInt(network.carrier?.view().counters.drops.filtered ?? 0),
  };
}

function ruleMessage(rule: Rule, names: ReadonlyMap<string, string>) {
  return {
    allow: rule.verdict === "allow",
    services: rule.services.map(serviceText),
    from: rule.from.map(({ name, virtualIp = "" }) => ({
      virtualIp,
      name: name ?? names.get(virtualIp) ?? "",
    })),
    text: ruleText(rule),
  };
}
