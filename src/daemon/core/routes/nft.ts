/** Parts of nftables rules as `nft -j` takes them. */

const equals = (left: object, right: unknown): object => ({ match: { op: "==", left, right } });

export const from = (device: string): object => equals({ meta: { key: "iifname" } }, device);
export const to = (device: string): object => equals({ meta: { key: "oifname" } }, device);
export const notTo = (device: string): object => ({
  match: { op: "!=", left: { meta: { key: "oifname" } }, right: device },
});
export const answers: object = {
  match: { op: "in", left: { ct: { key: "state" } }, right: ["established", "related"] },
};
export const notFrom = (devices: readonly string[]): object => ({
  match: { op: "!=", left: { meta: { key: "iifname" } }, right: { set: devices } },
});
export const accept: object = { accept: null };
export const drop: object = { drop: null };
/** Who sent it is told at once that it may not. */
export const reject: object = { reject: { type: "icmpx", expr: "admin-prohibited" } };
/** No further rule of the chain. */
export const leave: object = { return: null };
export const masquerade: object = { masquerade: null };

export const isFamily = (family: 4 | 6): object => equals({ meta: { key: "nfproto" } }, `ipv${family}`);
export const protocol = (name: "icmp" | "ipv6-icmp"): object => equals({ meta: { key: "l4proto" } }, name);
export const toPort = (name: "tcp" | "udp", port: number): object =>
  equals({ payload: { protocol: name, field: "dport" } }, port);

/** Opening packets of TCP connections are told the MTU of the way that they take. */
export const clampMss: readonly object[] = [
  equals({ "&": [{ payload: { protocol: "tcp", field: "flags" } }, 0x06] }, 0x02),
  { mangle: { key: { "tcp option": { name: "maxseg", field: "size" } }, value: { rt: { key: "mtu" } } } },
];

const protocolOf = (prefix: string): "ip" | "ip6" => (prefix.includes(":") ? "ip6" : "ip");

function prefixValue(prefix: string): object {
  const [addr = "", length] = prefix.split("/");
  return { prefix: { addr, len: Number(length) } };
}

export function source(prefix: string): object {
  return equals({ payload: { protocol: protocolOf(prefix), field: "saddr" } }, prefixValue(prefix));
}

export function destination(prefix: string): object {
  return equals({ payload: { protocol: protocolOf(prefix), field: "daddr" } }, prefixValue(prefix));
}

/** @param prefixes of one family, none inside another */
export const destinationIn = (prefixes: readonly string[]): object => inSet("daddr", prefixes);
/** @param addresses of one family */
export const sourceIn = (addresses: readonly string[]): object => inSet("saddr", addresses);

function inSet(field: "saddr" | "daddr", members: readonly string[]): object {
  const left = { payload: { protocol: protocolOf(members[0] ?? ""), field } };
  return equals(left, { set: members.map((one) => (one.includes("/") ? prefixValue(one) : one)) });
}

/** Replaces the bits of a prefix and keeps the host's. */
export function mapTo(kind: "snat" | "dnat", prefix: string): object {
  const addr = prefixValue(prefix);
  return { [kind]: { family: protocolOf(prefix), addr, flags: "netmap", type_flags: "prefix" } };
}

interface Hook {
  name: string;
  type: "filter" | "nat";
  hook: "input" | "forward" | "prerouting" | "postrouting";
  prio: number;
}

/** Commands that make a base chain with its rules in an `inet` table. */
export function chain(table: string, hook: Hook, rules: readonly (readonly object[])[]): object[] {
  const where = { family: "inet", table };
  return [
    { add: { chain: { ...where, ...hook, policy: "accept" } } },
    ...rules.map((expr) => ({ add: { rule: { ...where, chain: hook.name, expr } } })),
  ];
}
