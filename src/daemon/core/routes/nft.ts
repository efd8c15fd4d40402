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
export const accept: object = { accept: null };
export const drop: object = { drop: null };

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

/** Replaces the bits of a prefix and keeps the host's. */
export function mapTo(kind: "snat" | "dnat", prefix: string): object {
  const addr = prefixValue(prefix);
  return { [kind]: { family: protocolOf(prefix), addr, flags: "netmap", type_flags: "prefix" } };
}

interface Hook {
  name: string;
  type: "filter" | "nat";
  hook: "forward" | "input" | "prerouting" | "postrouting";
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
