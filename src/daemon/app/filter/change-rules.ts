import { parseRulePeer } from "../../core/filter/rule-peer.js";
import {
  isWaiting,
  noRules,
  type Rule,
  type Rules,
  ruleText,
  shadowOf,
  type Verdict,
  withoutRule,
  withRule,
} from "../../core/filter/rules.js";
import { parseService } from "../../core/filter/service.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";

export interface RulesChange {
  network: Network;
  /** As they are now, or would be. */
  rules: Rules;
  /** Only for a dry run: what would change, a line each. */
  plan: string[];
}

export interface NewRule {
  /** Empty: the only one. */
  network: string;
  verdict: Verdict;
  services: readonly string[];
  from: readonly string[];
  /** From 1; 0: at the end. */
  position: number;
  dryRun: boolean;
}

/** @throws VpnError `usage`, `ambiguous`, or as `Networks.change` */
export function addRule(
  networks: Networks,
  asked: NewRule,
): Promise<RulesChange & { at: number; alreadyThere: boolean; notes: string[] }> {
  const services = asked.services.map(parseService);
  return networks.change(asked.network, async (network) => {
    const { filter } = network;
    const known = filter.known();
    const from = asked.from.map((text) => parseRulePeer(text, network.name, known));
    const rule: Rule = { verdict: asked.verdict, services, from };
    const { state, at } = withRule(filter.rules, rule, asked.position === 0 ? undefined : asked.position);
    const alreadyThere = state === filter.rules;
    const notes = notesOn(state, rule, at);
    const plan = alreadyThere ? [] : [`add rule ${at}: ${ruleText(rule)}`];
    const result = await carryOut(network, state, asked.dryRun, plan);
    return { ...result, at, alreadyThere, notes };
  });
}

/** @throws VpnError `not-found`, or as `Networks.change` */
export function removeRule(
  networks: Networks,
  asked: string,
  position: number,
  dryRun: boolean,
): Promise<RulesChange & { removed: Rule }> {
  return networks.change(asked, async (network) => {
    const { state, removed } = withoutRule(network.filter.rules, position);
    const plan = [`remove rule ${position}: ${ruleText(removed)}`];
    return { ...(await carryOut(network, state, dryRun, plan)), removed };
  });
}

/** @throws VpnError as `Networks.change` */
export function clearRules(networks: Networks, asked: string, dryRun: boolean): Promise<RulesChange> {
  return networks.change(asked, (network) => {
    const { rules, others } = network.filter.rules;
    const plan = rules.map((rule, index) => `remove rule ${index + 1}: ${ruleText(rule)}`);
    if (others === "deny") plan.push("allow what no rule matches");
    return carryOut(network, noRules, dryRun, plan);
  });
}

/** @throws VpnError as `Networks.change` */
export function setDefault(
  networks: Networks,
  asked: string,
  others: Verdict,
  dryRun: boolean,
): Promise<RulesChange> {
  return networks.change(asked, (network) => {
    const { rules } = network.filter;
    const plan = rules.others === others ? [] : [`${others} what no rule matches`];
    return carryOut(network, { ...rules, others }, dryRun, plan);
  });
}

async function carryOut(
  network: Network,
  rules: Rules,
  dryRun: boolean,
  plan: string[],
): Promise<RulesChange> {
  if (dryRun) return { network, rules, plan };
  if (plan.length > 0) await network.filter.set(rules);
  return { network, rules: network.filter.rules, plan: [] };
}

function notesOn(state: Rules, rule: Rule, at: number): string[] {
  const notes: string[] = [];
  const shadow = shadowOf(state, at);
  const before = shadow === undefined ? undefined : state.rules[shadow - 1];
  if (shadow !== undefined && before !== undefined && before.verdict !== rule.verdict) {
    notes.push(
      `rule ${at} never decides: rule ${shadow} (${ruleText(before)}) comes before it; see --position`,
    );
  }
  if (isWaiting({ rules: [rule], others: state.others })) {
    const names = rule.from.flatMap(({ name, virtualIp }) =>
      virtualIp === undefined && name !== undefined ? [name] : [],
    );
    notes.push(`nobody is called ${names.join(", ")} yet: the rule waits`);
  }
  return notes;
}
