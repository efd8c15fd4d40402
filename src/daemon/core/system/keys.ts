import { exitTable, exitTableName } from "../exit-node/table.js";
import type { Refusal, Rule } from "./items.js";

/** What makes two routes the same one, as text. @param prefix CIDR, an address, or "default" */
export function routeKey(route: { prefix: string; device: string; table?: string }): string {
  return `${tableNumber(route.table ?? "main")} ${prefixKey(route.prefix)} ${route.device}`;
}

/** What makes two refusals the same one, as text. */
export function refusalKey(refusal: Refusal): string {
  return `${tableNumber(refusal.table)} ${prefixKey(refusal.prefix)} metric ${refusal.metric}`;
}

/** What makes two rules the same one, as text. */
export function ruleKey(rule: Rule): string {
  const [from, to] = [shortPrefix(rule.from ?? "all"), shortPrefix(rule.to ?? "all")];
  const { fwmark = "-", protocol = "-", sourcePort = "-", port = "-" } = rule;
  const how = `${rule.not ? "not" : "-"} ${rule.withoutDefault ? "without-default" : "-"}`;
  const what = `${from} ${to} ${fwmark} ${protocol} ${sourcePort} ${port}`;
  return `${rule.family} ${rule.priority} ${what} ${how} ${tableNumber(rule.table)}`;
}

/** `ip` knows protocols by name only where /etc/protocols is. */
export const protocolNumbers = { tcp: 6, udp: 17 } as const;

/** @param shown as `ip` shows it: "udp", or "ipproto-17"; undefined: it is neither of the two */
export function protocolOf(shown: unknown): "tcp" | "udp" | undefined {
  return (["tcp", "udp"] as const).find(
    (name) =>
      shown === name || shown === `ipproto-${protocolNumbers[name]}` || shown === protocolNumbers[name],
  );
}

/** Tables have names where a file says so; `ip` shows those. */
const tableNumbers: Readonly<Record<string, string>> = {
  local: "255",
  main: "254",
  default: "253",
  [exitTableName]: exitTable,
};
const tableNumber = (table: string): string => tableNumbers[table] ?? table;

/** The default routes of the two families differ. */
const prefixKey = (prefix: string): string => (prefix === "::/0" ? prefix : shortPrefix(prefix));

/** The way that `ip` writes a prefix: hosts without a length, everything as "default". */
export function shortPrefix(prefix: string): string {
  if (prefix === "0.0.0.0/0" || prefix === "::/0") return "default";
  return prefix.includes(":") ? prefix.replace(/\/128$/, "") : prefix.replace(/\/32$/, "");
}
