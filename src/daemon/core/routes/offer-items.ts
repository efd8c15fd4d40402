/** What offered subnets want of the machine (the door's items). */
import { type ExitRules, exitForwarding, exitInput, exitMasquerade } from "../exit-node/offer-rules.js";
import type { Item } from "../system/items.js";
import {
  accept,
  answers,
  chain,
  clampMss,
  destination,
  drop,
  from,
  mapTo,
  notTo,
  source,
  to,
} from "./nft.js";
import type { Offer } from "./routing.js";

/** Names in rule sets that people print and load again hold no dots. */
const tableName = (prefix: string, device: string): string => `${prefix}-${device.replaceAll(".", "_")}`;

/** What is offered to peers beside subnets. */
export interface OfferedExit {
  exit?: ExitRules;
  /** Devices towards the offered subnets. */
  lans: readonly string[];
}

/**
 * The table of a network's offers: from the tunnel on only what is for an offered subnet (or for the Internet, of an exit node)
 * and answers, mapped addresses translated both ways. Masqueraded is what goes to the Internet, and nothing else.
 */
export function offerItems(
  device: string,
  offers: readonly Offer[],
  { exit, lans }: OfferedExit = { lans: [] },
): Item[] {
  if (offers.length === 0 && exit === undefined) return [];
  const name = tableName("vpnd-routes", device);
  const mapped = offers.flatMap(({ prefix, as }) => (as === undefined ? [] : [{ prefix, as }]));
  const commands = chain(name, { name: "forward", type: "filter", hook: "forward", prio: 0 }, [
    [to(device), ...clampMss],
    [from(device), ...clampMss],
    [from(device), answers, accept],
    ...offers.map(({ prefix }) => [from(device), destination(prefix), accept]),
    ...(exit === undefined ? [[from(device), drop]] : exitForwarding(device, exit, lans)),
  ]);
  if (exit !== undefined) commands.push(...exitInput(name, device, exit));
  if (mapped.length > 0) {
    const inward = mapped.map(({ prefix, as }) => [from(device), destination(as), mapTo("dnat", prefix)]);
    commands.push(
      ...chain(name, { name: "prerouting", type: "nat", hook: "prerouting", prio: -100 }, inward),
    );
  }
  const outward = [
    ...mapped.map(({ prefix, as }) => [to(device), source(prefix), mapTo("snat", as)]),
    ...(exit === undefined
      ? []
      : exitMasquerade(
          device,
          exit,
          offers.map((offer) => offer.prefix),
        )),
  ];
  if (outward.length > 0) {
    commands.push(
      ...chain(name, { name: "postrouting", type: "nat", hook: "postrouting", prio: 100 }, outward),
    );
  }
  return [{ kind: "nft-table", family: "inet", name, commands }];
}

export const forwardingKey = (device: string): string => `net/ipv4/conf/${device}/forwarding`;
export const forwardingKey6 = "net/ipv6/conf/all/forwarding";

/**
 * Forwarding between tunnels and LANs, and nowhere else: a LAN that was not forwarded from before us gets to the tunnels alone.
 * @param tunnels devices of networks, or patterns of their names
 * @param lans devices on which forwarding was off
 */
export function forwardingItems(tunnels: readonly string[], lans: readonly string[]): Item[] {
  const [first] = lans;
  const name = tableName("vpnd-forwarding", tunnels[0] ?? "");
  const guards = lans.map((lan) => [from(lan), ...tunnels.map(notTo), drop]);
  const guard: Item = {
    kind: "nft-table",
    family: "inet",
    name,
    commands: chain(name, { name: "forward", type: "filter", hook: "forward", prio: 0 }, guards),
  };
  // Devices that a pattern stands for look after themselves.
  const named = tunnels.filter((device) => !device.endsWith("*"));
  const settings = [...named, ...lans].map(
    (device): Item => ({ kind: "sysctl", key: forwardingKey(device), value: "1" }),
  );
  return first === undefined ? settings : [guard, ...settings];
}
