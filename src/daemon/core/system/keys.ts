import type { Rule } from "./items.js";

/** What makes two routes the same one, as text. @param prefix CIDR, an address, or "default" */
export function routeKey(route: { prefix: string; device: string; table?: string }): string {
  return `${route.table ?? "main"} ${shortPrefix(route.prefix)} ${route.device}`;
}

/** What makes two rules the same one, as text. */
export function ruleKey(rule: Rule): string {
  const mark = rule.fwmark === undefined ? "-" : String(rule.fwmark);
  return `${rule.family} ${rule.priority} ${shortPrefix(rule.from ?? "all")} ${mark} ${rule.table}`;
}

/** The way that `ip` writes a prefix: hosts without a length, everything as "default". */
export function shortPrefix(prefix: string): string {
  if (prefix === "0.0.0.0/0" || prefix === "::/0") return "default";
  return prefix.includes(":") ? prefix.replace(/\/128$/, "") : prefix.replace(/\/32$/, "");
}
