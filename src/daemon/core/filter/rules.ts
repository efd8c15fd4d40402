import { VpnError } from "../../../common/errors.js";
import type { PeerNames } from "../network/find-peer.js";
import type { EngineFilter, FilterService } from "./engine-filter.js";
import { bind, type RulePeer, rulePeerText, samePeer } from "./rule-peer.js";
import { holdsService, serviceText } from "./service.js";

export type Verdict = "allow" | "deny";

export interface Rule {
  verdict: Verdict;
  /** Empty: all. */
  services: readonly FilterService[];
  /** Empty: anybody. */
  from: readonly RulePeer[];
}

/** A network's rules; the first that matches decides. */
export interface Rules {
  rules: readonly Rule[];
  /** What no rule matches. */
  others: Verdict;
}

export const noRules: Rules = { rules: [], others: "allow" };
export const isNoRules = ({ rules, others }: Rules): boolean => rules.length === 0 && others === "allow";

export const limits = { rules: 256, services: 64, peers: 64 } as const;

/** "allow tcp/22 udp/53 from alice (10.0.0.2), 10.0.0.3"; "deny everything". */
export function ruleText({ verdict, services, from }: Rule): string {
  const what = services.length === 0 ? "everything" : services.map(serviceText).join(" ");
  return `${verdict} ${what}${from.length === 0 ? "" : ` from ${from.map(rulePeerText).join(", ")}`}`;
}

/**
 * Rules with one more.
 * @param position where it is to stand, from 1; absent: at the end
 * @returns the same rules if it is there already and no position is asked for
 * @throws VpnError `usage`
 */
export function withRule(state: Rules, rule: Rule, position?: number): { state: Rules; at: number } {
  const { rules } = state;
  if (rule.services.length > limits.services) throw tooMany("protocols and ports", limits.services);
  if (rule.from.length > limits.peers) throw tooMany("peers", limits.peers);
  if (position === undefined) {
    const there = rules.findIndex((one) => sameRule(one, rule));
    if (there >= 0) return { state, at: there + 1 };
  }
  const at = position ?? rules.length + 1;
  if (!Number.isInteger(at) || at < 1 || at > rules.length + 1) {
    throw new VpnError("usage", `no rule can stand at position ${at}`, {
      hint: rules.length === 0 ? "there are no rules yet: use 1" : `use 1 to ${rules.length + 1}`,
    });
  }
  if (rules.length >= limits.rules) throw tooMany("rules", limits.rules);
  return { state: { ...state, rules: rules.toSpliced(at - 1, 0, rule) }, at };
}

/** @throws VpnError `not-found` */
export function withoutRule(state: Rules, position: number): { state: Rules; removed: Rule } {
  const removed = state.rules[position - 1];
  if (removed === undefined) {
    throw new VpnError("not-found", `there is no rule ${position}`, { hint: "see them: vpnctl rules" });
  }
  return { state: { ...state, rules: state.rules.toSpliced(position - 1, 1) }, removed };
}

/** The first rule before this one that leaves nothing to it, as its position; undefined: there is none. */
export function shadowOf({ rules }: Rules, position: number): number | undefined {
  const rule = rules[position - 1];
  if (rule === undefined) return undefined;
  const found = rules.slice(0, position - 1).findIndex((earlier) => covers(earlier, rule));
  return found < 0 ? undefined : found + 1;
}

/** The same rules with the peers that are known by now; the same object if nothing was found. */
export function boundTo(state: Rules, known: readonly PeerNames[]): Rules {
  if (!isWaiting(state)) return state;
  let found = false;
  const rules = state.rules.map((rule) => {
    const from = rule.from.map((peer) => {
      const bound = bind(peer, known);
      found ||= bound !== peer;
      return bound;
    });
    return { ...rule, from };
  });
  return found ? { ...state, rules } : state;
}

/** Whether a rule is for somebody who is not known yet. */
export const isWaiting = ({ rules }: Rules): boolean =>
  rules.some(({ from }) => from.some(({ virtualIp }) => virtualIp === undefined));

/** What is told to whatever moves the packets. A rule that is only for peers who are not known yet matches nobody. */
export function engineFilter({ rules, others }: Rules): EngineFilter {
  return {
    rules: rules.map(({ verdict, services, from }) => ({
      allow: verdict === "allow",
      services,
      ...(from.length > 0 && {
        sources: from.flatMap(({ virtualIp }) =>
          virtualIp === undefined ? [] : [`${virtualIp}/${virtualIp.includes(":") ? 128 : 32}`],
        ),
      }),
    })),
    allowOthers: others === "allow",
  };
}

function sameRule(a: Rule, b: Rule): boolean {
  return a.verdict === b.verdict && covers(a, b) && covers(b, a);
}

function covers(outer: Rule, inner: Rule): boolean {
  const anybody = outer.from.length === 0;
  if (!anybody && inner.from.length === 0) return false;
  if (!anybody && !inner.from.every((peer) => outer.from.some((one) => samePeer(one, peer)))) return false;
  if (outer.services.length === 0) return true;
  if (inner.services.length === 0) return false;
  return inner.services.every((service) => outer.services.some((one) => holdsService(one, service)));
}

function tooMany(what: string, most: number): VpnError {
  return new VpnError("usage", `too many ${what} (at most ${most})`, { hint: "use fewer, or a range" });
}
