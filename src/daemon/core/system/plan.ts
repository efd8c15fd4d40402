import { VpnError } from "../../../common/errors.js";
import type { Item, Link, LinkBefore, Machine, Step } from "./items.js";
import { refusalKey, routeKey, ruleKey } from "./keys.js";
import { planResolver } from "./resolver.js";

/**
 * Which steps bring the items about on this machine, in order; what is so already needs none.
 * @throws VpnError `conflict` or `failed` when something that is not ours is in the way
 */
export function planSteps(items: readonly Item[], machine: Machine): Step[] {
  const created = new Set(items.filter((item) => item.kind === "tun").map((item) => item.name));
  return items.flatMap((item) => planItem(item, machine, created));
}

function planItem(item: Item, machine: Machine, created: ReadonlySet<string>): Step[] {
  switch (item.kind) {
    case "tun":
      if (machine.links.has(item.name)) {
        throw new VpnError("conflict", `device ${item.name} exists already and is not ours`, {
          hint: `choose another with --device, or remove it: ip link del ${item.name}`,
        });
      }
      return [{ kind: "create-tun", name: item.name, ...modeOf(item) }];
    case "existing-tun":
      return [
        {
          kind: "attach-tun",
          name: item.name,
          ifindex: attachable(item.name, item.mode ?? "tun", machine).ifindex,
          ...modeOf(item),
        },
      ];
    case "link":
      return planLink(item, machine, created);
    case "address": {
      const link = machine.links.get(item.device);
      if (link?.addresses.includes(item.address)) return [];
      const step: Step = { kind: "add-address", device: item.device, address: item.address };
      return [link && !created.has(item.device) ? { ...step, ifindex: link.ifindex } : step];
    }
    case "route": {
      if (machine.routes.has(routeKey(item))) return [];
      const link = machine.links.get(item.device);
      const step: Step = { kind: "add-route", device: item.device, prefix: item.prefix };
      if (item.table !== undefined) step.table = item.table;
      if (item.source !== undefined) step.source = item.source;
      if (link && !created.has(item.device)) step.ifindex = link.ifindex;
      return [step];
    }
    case "refusal":
      return machine.refusals.has(refusalKey(item)) ? [] : [{ ...item, kind: "add-refusal" }];
    case "file": {
      const text = machine.files.get(item.path);
      if (text === item.text) return [];
      if (text === undefined) return [{ ...item, kind: "write-file" }];
      throw new VpnError("conflict", `${item.path} exists already and is not ours`);
    }
    case "rule":
      return machine.rules.has(ruleKey(item.rule)) ? [] : [{ kind: "add-rule", rule: item.rule }];
    case "sysctl": {
      const before = machine.sysctls.get(item.key);
      if (before === undefined) {
        throw new VpnError("failed", `this kernel has no setting ${item.key.replaceAll("/", ".")}`);
      }
      return before === item.value ? [] : [{ kind: "set-sysctl", key: item.key, value: item.value, before }];
    }
    case "nft-table":
      if (machine.nftTables.has(`${item.family} ${item.name}`)) {
        throw new VpnError("conflict", `nftables table ${item.family} ${item.name} exists already`, {
          hint: `see whose it is: nft list table ${item.family} ${item.name}`,
        });
      }
      return [{ ...item, kind: "add-nft-table" }];
    case "resolver":
      return planResolver(item, machine);
  }
}

function planLink(
  item: { device: string; mtu: number },
  machine: Machine,
  created: ReadonlySet<string>,
): Step[] {
  const { device, mtu } = item;
  if (created.has(device)) return [{ kind: "set-link", device, mtu, created: true }];
  const link = machine.links.get(device);
  if (!link) throw new VpnError("failed", `device ${device} does not exist`);
  if (link.up && link.mtu === mtu) return [];
  const before: LinkBefore = {
    ifindex: link.ifindex,
    mtu: link.mtu,
    up: link.up,
    addresses: link.addresses,
  };
  // Coming up, a TUN with "eui64" gets another mode and a secret from the kernel, which nothing takes away again.
  if (!link.up && link.addrGenMode === "eui64") before.addrGenMode = link.addrGenMode;
  return [{ kind: "set-link", device, mtu, created: false, before }];
}

const modeOf = ({ mode }: { mode?: "tap" }): { mode?: "tap" } => (mode === undefined ? {} : { mode });

/** @throws VpnError `failed` or `conflict`: there is no such device, or it is not one for us */
function attachable(name: string, mode: "tun" | "tap", machine: Machine): Link {
  const link = machine.links.get(name);
  if (!link) throw new VpnError("failed", `device ${name} does not exist`);
  if (link.type !== "tun") {
    throw new VpnError("conflict", `device ${name} is not a TUN device`, {
      hint: "choose another name with --device",
    });
  }
  if (link.tunMode !== undefined && link.tunMode !== mode) {
    const [is, needed] = [link.tunMode.toUpperCase(), mode.toUpperCase()];
    throw new VpnError("conflict", `device ${name} is a ${is} device; this network needs ${needed}`, {
      hint: `make one: ip tuntap add dev NAME mode ${mode}`,
    });
  }
  if (link.persistent === false) {
    throw new VpnError("conflict", `device ${name} belongs to another program`, {
      hint: "choose another name with --device",
    });
  }
  return link;
}
