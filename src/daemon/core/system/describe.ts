import type { Rule, Step } from "./items.js";
import { describeResolver, describeResolverUndo } from "./resolver.js";

/** One line for people (`--dry-run`, `plan`, logs). */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case "create-tun":
      return `create device ${step.name} (${step.mode ?? "tun"})`;
    case "attach-tun":
      return `attach to existing device ${step.name}`;
    case "set-link":
      return `set ${step.device} up, mtu ${step.mtu}${step.before ? ` (was ${step.before.up ? "up" : "down"}, mtu ${step.before.mtu})` : ""}`;
    case "add-address":
      return `add address ${step.address} to ${step.device}`;
    case "add-route":
      return `add route ${step.prefix} over ${step.device}${inTable(step.table)}`;
    case "add-refusal":
      return `refuse ${step.prefix} in table ${step.table} where no route takes it`;
    case "write-file":
      return `write file ${step.path}`;
    case "add-rule":
      return `add rule ${ruleText(step.rule)}`;
    case "set-sysctl":
      return `set ${step.key.replaceAll("/", ".")} to ${step.value} (was ${step.before})`;
    case "add-nft-table":
      return `add nftables table ${step.family} ${step.name}`;
    case "set-link-dns":
    case "replace-resolv-conf":
      return describeResolver(step);
  }
}

/** One line for people on how a step is taken back. */
export function describeUndo(step: Step): string {
  switch (step.kind) {
    case "create-tun":
      return `remove device ${step.name}`;
    case "attach-tun":
      return `detach from device ${step.name}`;
    case "set-link":
      return step.before
        ? `restore ${step.device}: ${step.before.up ? "up" : "down"}, mtu ${step.before.mtu}`
        : `set ${step.device} down`;
    case "add-address":
      return `remove address ${step.address} from ${step.device}`;
    case "add-route":
      return `remove route ${step.prefix} over ${step.device}${inTable(step.table)}`;
    case "add-refusal":
      return `refuse ${step.prefix} in table ${step.table} no more`;
    case "write-file":
      return `remove file ${step.path}`;
    case "add-rule":
      return `remove rule ${ruleText(step.rule)}`;
    case "set-sysctl":
      return `set ${step.key.replaceAll("/", ".")} back to ${step.before}`;
    case "add-nft-table":
      return `remove nftables table ${step.family} ${step.name}`;
    case "set-link-dns":
    case "replace-resolv-conf":
      return describeResolverUndo(step);
  }
}

/** As `ip rule` would say it. */
export function ruleText(rule: Rule): string {
  const part = (name: string, value: string | number | undefined): string =>
    value === undefined ? "" : ` ${name} ${value}`;
  const mark = part("fwmark", rule.fwmark === undefined ? undefined : `0x${rule.fwmark.toString(16)}`);
  const ports = `${part("ipproto", rule.protocol)}${part("sport", rule.sourcePort)}${part("dport", rule.port)}`;
  const who = `${rule.not ? "not " : ""}from ${rule.from ?? "all"}${part("to", rule.to)}${mark}${ports}`;
  const where = `lookup ${rule.table}${rule.withoutDefault ? " suppress_prefixlength 0" : ""}`;
  return `${rule.priority}: ${who} ${where}${rule.family === 6 ? " (IPv6)" : ""}`;
}

const inTable = (table: string | undefined): string => (table === undefined ? "" : ` in table ${table}`);
