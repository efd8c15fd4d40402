import { ruleText } from "./describe.js";
import type { Link, Machine, Step } from "./items.js";
import { refusalKey, routeKey, ruleKey } from "./keys.js";
import { resolverInForce, resolverTrace } from "./resolver.js";

export const traceKinds = [
  "device",
  "link",
  "address",
  "route",
  "rule",
  "sysctl",
  "nft-table",
  "resolver",
  "socket",
  "file",
] as const;

/** One thing of ours on the machine. */
export interface Trace {
  kind: (typeof traceKinds)[number];
  name: string;
  /** More for people, such as how it was before. */
  detail: string;
  /** Whose it is: a network, or empty for vpnd itself. */
  network: string;
  /** Whether it is there now: somebody else may have removed it. */
  present: boolean;
}

/** A route that the kernel made because of an address of ours. */
export interface ConnectedRoute {
  device: string;
  prefix: string;
}

/** What steps that were taken have left on this machine, in their order; `routes` are those of the devices. */
export function footprint(
  taken: readonly { owner: string; step: Step }[],
  machine: Machine,
  routes: readonly ConnectedRoute[],
): Trace[] {
  return taken.flatMap(({ owner, step }) =>
    traces(step, machine, routes).map((trace) => ({ ...trace, network: owner.split("/", 1)[0] ?? "" })),
  );
}

/** Whether what a step brought about is still so. */
export function inForce(step: Step, machine: Machine): boolean {
  switch (step.kind) {
    case "create-tun":
    case "attach-tun":
      return machine.links.has(step.name);
    case "set-link": {
      const link = machine.links.get(step.device);
      return link?.up === true && link.mtu === step.mtu;
    }
    case "add-address":
      return machine.links.get(step.device)?.addresses.includes(step.address) ?? false;
    case "add-route":
      return machine.routes.has(routeKey(step));
    case "add-refusal":
      return machine.refusals.has(refusalKey(step));
    case "write-file":
      return machine.files.get(step.path) === step.text;
    case "add-rule":
      return machine.rules.has(ruleKey(step.rule));
    case "set-sysctl":
      return machine.sysctls.get(step.key) === step.value;
    case "add-nft-table":
      return machine.nftTables.has(`${step.family} ${step.name}`);
    case "set-link-dns":
    case "replace-resolv-conf":
      return resolverInForce(step, machine);
  }
}

function traces(step: Step, machine: Machine, routes: readonly ConnectedRoute[]): Omit<Trace, "network">[] {
  const present = inForce(step, machine);
  switch (step.kind) {
    case "create-tun":
      return [{ kind: "device", name: step.name, detail: linkText(machine.links.get(step.name)), present }];
    case "attach-tun": {
      const detail = `existing device, attached; ${linkText(machine.links.get(step.name))}`;
      return [{ kind: "device", name: step.name, detail, present }];
    }
    case "set-link": {
      // Of a device of ours its line says it all.
      if (!step.before) return [];
      const was = `was ${step.before.up ? "up" : "down"}, mtu ${step.before.mtu}`;
      return [{ kind: "link", name: step.device, detail: `up, mtu ${step.mtu} (${was})`, present }];
    }
    case "add-address": {
      const brought = routes
        .filter((route) => route.device === step.device && covers(route.prefix, step.address))
        .map(({ prefix, device }) => ({
          kind: "route" as const,
          name: prefix,
          detail: `dev ${device}, by the address`,
          present: true,
        }));
      return [{ kind: "address", name: step.address, detail: `dev ${step.device}`, present }, ...brought];
    }
    case "add-route": {
      const table = step.table === undefined ? "" : `, table ${step.table}`;
      return [{ kind: "route", name: step.prefix, detail: `dev ${step.device}${table}`, present }];
    }
    case "add-refusal":
      return [{ kind: "route", name: step.prefix, detail: `unreachable, table ${step.table}`, present }];
    case "write-file":
      return [{ kind: "file", name: step.path, detail: "", present }];
    case "add-rule":
      return [{ kind: "rule", name: ruleText(step.rule), detail: "", present }];
    case "set-sysctl": {
      const name = step.key.replaceAll("/", ".");
      return [{ kind: "sysctl", name, detail: `${step.value} (was ${step.before})`, present }];
    }
    case "add-nft-table":
      return [{ kind: "nft-table", name: `${step.family} ${step.name}`, detail: "", present }];
    case "set-link-dns":
    case "replace-resolv-conf":
      return [{ kind: "resolver", ...resolverTrace(step), present }];
  }
}

const linkText = (link: Link | undefined): string =>
  link === undefined ? "" : `${link.type}, ${link.up ? "up" : "down"}, mtu ${link.mtu}`;

/** Whether a connected route is that of the address: same length, same bits before it. */
function covers(prefix: string, address: string): boolean {
  const [base = "", length] = prefix.split("/");
  const [host = "", own] = address.split("/");
  if (length === undefined || length !== own) return false;
  const bits = Number(length);
  const [a, b] = [toBits(base), toBits(host)];
  return a.length === b.length && a.slice(0, bits) === b.slice(0, bits);
}

function toBits(address: string): string {
  if (!address.includes(":")) {
    return address
      .split(".")
      .map((byte) => Number(byte).toString(2).padStart(8, "0"))
      .join("");
  }
  const [head = "", tail] = address.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const middle =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0");
  return [...before, ...middle, ...after]
    .map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0"))
    .join("");
}
