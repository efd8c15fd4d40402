/** What offered subnets want of the machine (the door's items). */
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

/**
 * The table of a network's offers: from the tunnel on only what is for an offered subnet and answers, mapped addresses
 * translated both ways. Masquerading there is none.
 */
export function offerItems(device: string, offers: readonly Offer[]): Item[] {
  if (offers.length === 0) return [];
  const name = tableName("vpnd-routes", device);
  const mapped = offers.flatMap(({ prefix, as }) => (as === undefined ? [] : [{ prefix, as }]));
  const commands = chain(name, { name: "forward", type: "filter", hook: "forward", prio: 0 }, [
    [to(device), ...clampMss],
    [from(device), ...clampMss],
    [from(device), answers, accept],
    ...offers.map(({ prefix }) => [from(device), destination(prefix), accept]),
    [from(device), drop],
  ]);
  if (mapped.length > 0) {
    const inward = mapped.map(({ prefix, as }) => [from(device), destination(as), mapTo("dnat", prefix)]);
    const outward = mapped.map(({ prefix, as }) => [to(device), source(prefix), mapTo("snat", as)]);
    commands.push(
      ...chain(name, { name: "prerouting", type: "nat", hook: "prerouting", prio: -100 }, inward),
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
