import type { Machine, Refusal, Rule, Step } from "./items.js";
import { protocolNumbers, refusalKey, routeKey, ruleKey } from "./keys.js";
import { applyResolver, undoResolver } from "./resolver.js";
import type { ResolverAction } from "./resolver-items.js";

/** What the executing half can be told to do; arguments go to the program as they are, never through a shell. */
export type Action =
  | { type: "ip"; args: readonly string[] }
  /** JSON, or nft's own language. */
  | { type: "nft"; input: string }
  | { type: "sysctl"; key: string; value: string }
  /** Text of a new file, with its folder. */
  | { type: "write-file"; path: string; text: string }
  | { type: "remove-file"; path: string; folders: readonly string[] }
  /** Turns off what an engine turned on in a persistent device, unless somebody else has it open. */
  | { type: "reset-tun"; name: string; mode?: "tap" }
  | ResolverAction;

const family = (address: string): string => (address.includes(":") ? "-6" : "-4");

/** The actions of a step; opening TUN devices is the executor's own business. */
export function applyActions(step: Step): Action[] {
  switch (step.kind) {
    case "create-tun":
    case "attach-tun":
      return [];
    case "set-link": {
      const set = {
        type: "ip",
        args: ["link", "set", "dev", step.device, "mtu", `${step.mtu}`, "up"],
      } as const;
      // Without it the kernel sends router solicitations and multicast reports into the tunnel.
      const quiet = { type: "ip", args: ["link", "set", "dev", step.device, "addrgenmode", "none"] } as const;
      return step.created || step.before?.addrGenMode !== undefined ? [quiet, set] : [set];
    }
    case "add-address": {
      const args = ["addr", "add", step.address, "dev", step.device];
      return [{ type: "ip", args: step.address.includes(":") ? [...args, "nodad"] : args }];
    }
    case "add-route": {
      const source = step.source === undefined ? [] : ["src", step.source];
      return [
        {
          type: "ip",
          args: [
            family(step.prefix),
            "route",
            "add",
            step.prefix,
            "dev",
            step.device,
            ...tableOf(step),
            ...source,
          ],
        },
      ];
    }
    case "add-refusal":
      return [{ type: "ip", args: refusalArguments("add", step) }];
    case "write-file":
      return [{ type: "write-file", path: step.path, text: step.text }];
    case "add-rule":
      return [{ type: "ip", args: ruleArguments("add", step.rule) }];
    case "set-sysctl":
      return [{ type: "sysctl", key: step.key, value: step.value }];
    case "add-nft-table": {
      const add = { add: { table: { family: step.family, name: step.name } } };
      const table: Action = { type: "nft", input: JSON.stringify({ nftables: [add, ...step.commands] }) };
      return step.more === undefined ? [table] : [table, { type: "nft", input: step.more }];
    }
    case "set-link-dns":
    case "replace-resolv-conf":
      return applyResolver(step);
  }
}

/**
 * The actions that take a step back, as far as there is something to take back: a device that is gone, or that another one
 * took the place of, is left alone.
 */
export function undoActions(step: Step, machine: Machine): Action[] {
  switch (step.kind) {
    case "create-tun": {
      const link = machine.links.get(step.name);
      if (link?.type !== "tun") return [];
      // A TUN of ours ends with its descriptor, so one that outlived it under the same index was handed on by us.
      return step.ifindex === link.ifindex ? [{ type: "ip", args: ["link", "del", "dev", step.name] }] : [];
    }
    case "attach-tun":
      // Offloads outlive the engine, and programs that do not know them would be handed packets of 64 KiB.
      return isSame(machine.links.get(step.name), step.ifindex)
        ? [{ type: "reset-tun", name: step.name, ...(step.mode && { mode: step.mode }) }]
        : [];
    case "set-link": {
      const link = machine.links.get(step.device);
      const { before } = step;
      if (!before || !link || link.ifindex !== before.ifindex) return [];
      const set = ["link", "set", "dev", step.device, "mtu", `${before.mtu}`, before.up ? "up" : "down"];
      const mode = before.addrGenMode;
      const heard = mode === undefined ? [] : [["link", "set", "dev", step.device, "addrgenmode", mode]];
      // A lower MTU or going down makes the kernel drop IPv6 addresses.
      const dropped = (address: string): boolean =>
        !link.addresses.includes(address) || (!before.up && address.includes(":"));
      const lost = before.addresses
        .filter(dropped)
        .map((address) => ["addr", "replace", address, "dev", step.device]);
      return [set, ...heard, ...lost].map((args) => ({ type: "ip", args }));
    }
    case "add-address": {
      const link = machine.links.get(step.device);
      if (!isSame(link, step.ifindex) || !link?.addresses.includes(step.address)) return [];
      return [{ type: "ip", args: ["addr", "del", step.address, "dev", step.device] }];
    }
    case "add-route":
      if (!isSame(machine.links.get(step.device), step.ifindex) || !machine.routes.has(routeKey(step)))
        return [];
      return [
        {
          type: "ip",
          args: [family(step.prefix), "route", "del", step.prefix, "dev", step.device, ...tableOf(step)],
        },
      ];
    case "add-refusal":
      return machine.refusals.has(refusalKey(step))
        ? [{ type: "ip", args: refusalArguments("del", step) }]
        : [];
    case "write-file":
      // Changed by somebody since: theirs now.
      return machine.files.get(step.path) === step.text
        ? [{ type: "remove-file", path: step.path, folders: step.folders ?? [] }]
        : [];
    case "add-rule":
      return machine.rules.has(ruleKey(step.rule))
        ? [{ type: "ip", args: ruleArguments("del", step.rule) }]
        : [];
    case "set-sysctl":
      // Changed by somebody since: theirs now.
      return machine.sysctls.get(step.key) === step.value
        ? [{ type: "sysctl", key: step.key, value: step.before }]
        : [];
    case "add-nft-table":
      if (!machine.nftTables.has(`${step.family} ${step.name}`)) return [];
      return [
        {
          type: "nft",
          input: JSON.stringify({
            nftables: [{ delete: { table: { family: step.family, name: step.name } } }],
          }),
        },
      ];
    case "set-link-dns":
    case "replace-resolv-conf":
      return undoResolver(step, machine);
  }
}

/** Addresses and routes on a device that we made go with it; only those on an existing one carry its index. */
function isSame(link: { ifindex: number } | undefined, ifindex: number | undefined): boolean {
  return link !== undefined && link.ifindex === ifindex;
}

const tableOf = ({ table }: { table?: string }): string[] => (table === undefined ? [] : ["table", table]);

function refusalArguments(verb: "add" | "del", { prefix, table, metric }: Refusal): string[] {
  const route = ["unreachable", prefix, "metric", String(metric), "table", table];
  return [family(prefix), "route", verb, ...route];
}

function ruleArguments(verb: "add" | "del", rule: Rule): string[] {
  const part = (name: string, value: string | number | undefined): string[] =>
    value === undefined ? [] : [name, String(value)];
  return [
    `-${rule.family}`,
    "rule",
    verb,
    "priority",
    String(rule.priority),
    ...(rule.not ? ["not"] : []),
    "from",
    rule.from ?? "all",
    ...part("to", rule.to),
    ...part("fwmark", rule.fwmark),
    ...part("ipproto", rule.protocol && protocolNumbers[rule.protocol]),
    ...part("sport", rule.sourcePort),
    ...part("dport", rule.port),
    "table",
    rule.table,
    ...(rule.withoutDefault ? ["suppress_prefixlength", "0"] : []),
  ];
}
