import type { FilterRule, NetworkRules } from "../../common/gen/vpnd/v1/filter_pb.js";
import type { Look } from "./look.js";
import { notes, table } from "./table.js";

/** The rules of networks in their order, the default last. */
export function rulesText(networks: readonly NetworkRules[], look: Look): string {
  const rows = networks.flatMap(({ network, allowOthers, rules }) => [
    ...rules.map((rule, index) => [
      network,
      String(index + 1),
      verdict(rule.allow),
      services(rule),
      from(rule),
    ]),
    [network, "-", verdict(allowOthers), rules.length === 0 ? "everything" : "everything else", "anybody"],
  ]);
  const remarks = networks.flatMap(({ network, rules, filtered }) => [
    ...(filtered > 0n ? [`${network}: ${filtered} packets were not let in`] : []),
    ...waiting(rules).map((name) => `${network}: nobody is called ${name} yet`),
  ]);
  return table(["NETWORK", "RULE", "VERDICT", "WHAT", "FROM"], rows, { look }) + notes(remarks);
}

const verdict = (allow: boolean): string => (allow ? "allow" : "deny");

const services = (rule: FilterRule): string => rule.services.join(" ") || "everything";

function from(rule: FilterRule): string {
  const peers = rule.from.map(({ virtualIp, name }) => {
    if (virtualIp === "") return name;
    return name === "" ? virtualIp : `${name} (${virtualIp})`;
  });
  return peers.join(", ") || "anybody";
}

function waiting(rules: readonly FilterRule[]): string[] {
  const names = rules.flatMap((rule) => rule.from.filter(({ virtualIp }) => virtualIp === ""));
  return [...new Set(names.map(({ name }) => name))];
}
