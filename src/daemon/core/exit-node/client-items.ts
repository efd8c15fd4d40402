/** What the use of an exit node wants of the machine (the door's items). */
import type { Item, Rule } from "../system/items.js";
import { socketMark } from "../system/mark.js";
import { exitTable, exitTableName, lastResort, priority } from "./table.js";

export type Family = 4 | 6;

const everything = { 4: "0.0.0.0/0", 6: "::/0" } as const;
const familyOf = (prefix: string): Family => (prefix.includes(":") ? 6 : 4);
const rule = (one: Rule): Item => ({ kind: "rule", rule: one });

/**
 * Everything but vpnd's own packets and DHCP goes by our table, where what no tunnel takes is refused. This stays while tunnels
 * come and go, so that nothing leaves by the machine's other routes meanwhile.
 * @param families those that this machine has
 */
export function guardItems(families: readonly Family[]): Item[] {
  return families.flatMap((family) => [
    { kind: "refusal", prefix: everything[family], table: exitTable, metric: lastResort } as const,
    ...(family === 4 ? [dhcp] : []),
    rule({ family, priority: priority.everything, not: true, fwmark: socketMark, table: exitTable }),
  ]);
}

const dhcp = rule({
  family: 4,
  priority: priority.dhcp,
  protocol: "udp",
  sourcePort: 68,
  port: 67,
  table: "main",
});

/** Subnets of tunnels, and of the LAN if that was allowed, stay where they are. */
export interface Exceptions {
  tunnels: readonly string[];
  lan: readonly string[];
}

/** Items by prefix, each a part of its own. Without the main table's default routes: of what is not there nothing leaves. */
export function exceptionItems({ tunnels, lan }: Exceptions): Map<string, Item[]> {
  const parts = new Map<string, Item[]>();
  const toMain = (prefix: string, at: number): Item =>
    rule({ family: familyOf(prefix), priority: at, to: prefix, table: "main", withoutDefault: true });
  for (const prefix of tunnels) parts.set(`tunnel/${prefix}`, [toMain(prefix, priority.tunnels)]);
  for (const prefix of lan) {
    parts.set(`lan/${prefix}`, [...lookUps(prefix), toMain(prefix, priority.lan)]);
  }
  return parts;
}

function lookUps(prefix: string): Item[] {
  const base = { family: familyOf(prefix), priority: priority.lanNames, to: prefix, table: exitTable };
  return [
    rule({ ...base, protocol: "udp", port: 53 }),
    rule({ ...base, protocol: "tcp", port: 53 }),
    rule({ ...base, protocol: "tcp", port: 853 }),
  ];
}

/** The way through the tunnel, for one family. @param address CIDR that the device needs for it */
export function tunnelItems(device: string, family: Family, address?: string): Item[] {
  const items: Item[] = [{ kind: "route", device, prefix: everything[family], table: exitTable }];
  return address === undefined ? items : [{ kind: "address", device, address }, ...items];
}

/** The table's name for `ip route show table vpnd`. */
export const tableNameItem: Item = {
  kind: "file",
  path: "/etc/iproute2/rt_tables.d/vpnd.conf",
  text: `${exitTable} ${exitTableName}\n`,
};

export const validMarkKey = "net/ipv4/conf/all/src_valid_mark";

/**
 * Where source addresses are checked strictly (rp_filter 1), an answer to vpnd would come from where nothing goes to any more. So it
 * gets vpnd's mark, and the check heeds it. The same check is made of whoever asks by ARP for this machine's address: neighbours, the
 * router among them, would get no answer and soon send nothing here any more.
 */
export function strictItems(): Item[] {
  const name = "vpnd-exit-node";
  const mark = { mangle: { key: { meta: { key: "mark" } }, value: socketMark } };
  const ours = { match: { op: "==", left: { socket: { key: "mark" } }, right: socketMark } };
  const table = (family: "inet" | "arp", hook: string, prio: number, expr: readonly object[]): Item => {
    const where = { family, table: name };
    const chain = { name: hook, type: "filter", hook, prio, policy: "accept" };
    const commands = [
      { add: { chain: { ...where, ...chain } } },
      { add: { rule: { ...where, chain: hook, expr } } },
    ];
    return { kind: "nft-table", family, name, commands };
  };
  return [
    { kind: "sysctl", key: validMarkKey, value: "1" },
    table("inet", "prerouting", -150, [ours, mark]),
    table("arp", "input", 0, [mark]),
  ];
}
