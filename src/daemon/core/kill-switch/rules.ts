/**
 * The nftables table of the kill switch. Packets that this machine makes or forwards are dropped unless a rule lets them
 * through; what comes in is nobody's business here, for an answer to it would have to leave.
 */
import { parseEndpoint } from "../../../common/endpoint.js";
import { parseCidr } from "../network/cidr.js";
import type { Step } from "../system/items.js";
import { socketMark } from "../system/mark.js";
import { lanMulticast } from "./lan.js";
import type { KillSwitchState } from "./state.js";

export const killSwitchFamily = "inet";
export const killSwitchTable = "vpnd_kill_switch";

const table = { family: killSwitchFamily, table: killSwitchTable };

/** An expression of a rule in nft's JSON. */
type Expression = object;

const accept = { accept: null };
const match = (left: Expression, right: unknown): Expression => ({ match: { op: "==", left, right } });
const meta = (key: string): Expression => ({ meta: { key } });
const field = (protocol: string, name: string): Expression => ({ payload: { protocol, field: name } });
const anyOf = (values: readonly unknown[]): unknown => (values.length === 1 ? values[0] : { set: values });
const tcpOrUdp = match(meta("l4proto"), { set: ["tcp", "udp"] });

/**
 * The step that brings the table about, whether it is there or not, in one transaction: there is no moment between the old
 * rules and the new ones.
 */
export function killSwitchStep(state: KillSwitchState): Step & { kind: "add-nft-table" } {
  const chains = ["output", "forward"].flatMap((hook) => [
    { add: { chain: { ...table, name: hook, type: "filter", hook, prio: 0, policy: "drop" } } },
    { flush: { chain: { ...table, name: hook } } },
  ]);
  const rule = (chain: string, expr: readonly Expression[]) => ({ add: { rule: { ...table, chain, expr } } });
  const both = [...tunnels(state.devices), ...hosts(state), ...lan(state.lan)];
  const refused = { reject: { type: "icmpx", expr: "admin-prohibited" } };
  return {
    kind: "add-nft-table",
    family: killSwitchFamily,
    name: killSwitchTable,
    commands: [
      ...chains,
      ...[...ownRules, ...both].map((expr) => rule("output", expr)),
      // Programs are told at once instead of waiting; what could leave by that is dropped by the same rules.
      rule("output", [{ counter: null }, refused]),
      ...both.map((expr) => rule("forward", expr)),
      rule("forward", [{ counter: null }, { drop: null }]),
    ],
  };
}

/** What the machine itself needs, and vpnd. */
const ownRules: readonly Expression[][] = [
  [match(meta("oifname"), "lo"), accept],
  [match(meta("mark"), socketMark), tcpOrUdp, accept],
  // DHCP, from ports that only root may use.
  [
    match(meta("nfproto"), "ipv4"),
    match(field("udp", "sport"), 68),
    match(field("udp", "dport"), 67),
    accept,
  ],
  [
    match(field("ip6", "saddr"), { prefix: { addr: "fe80::", len: 10 } }),
    match(field("udp", "sport"), 546),
    match(field("udp", "dport"), 547),
    accept,
  ],
  [
    match(field("icmpv6", "type"), {
      set: ["nd-router-solicit", "nd-neighbor-solicit", "nd-neighbor-advert"],
    }),
    match(field("ip6", "hoplimit"), 255),
    accept,
  ],
];

/** In nft's JSON "@x" is a set and "x*" a pattern: a device with such a name stays shut. */
const isPlain = (device: string): boolean => /^[A-Za-z0-9._-]+$/.test(device);

function tunnels(devices: readonly string[]): Expression[][] {
  const plain = devices.filter(isPlain);
  return plain.length === 0 ? [] : [[match(meta("oifname"), anyOf(plain)), accept]];
}

function hosts(state: KillSwitchState): Expression[][] {
  return state.allowed.flatMap(({ endpoints }) =>
    endpoints.flatMap((text) => {
      const to = parseEndpoint(text);
      if (to === undefined) return [];
      const address = match(field(to.family === 4 ? "ip" : "ip6", "daddr"), to.address);
      return [[address, tcpOrUdp, match(field("th", "dport"), to.port), accept]];
    }),
  );
}

/** Resolvers on a LAN ask others on the Internet: a look-up there is a leak, whatever its first hop. */
function lan(prefixes: readonly string[]): Expression[][] {
  if (prefixes.length === 0) return [];
  const ports = match(field("th", "dport"), { set: [53, 853] });
  // A rule each: prefixes may lie within each other, which a set does not take.
  const each = [...prefixes, ...lanMulticast].flatMap((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined) return [];
    const prefix = { addr: cidr.prefix.replace(/\/.*/, ""), len: cidr.length };
    return [[match(field(cidr.family === 4 ? "ip" : "ip6", "daddr"), { prefix }), accept]];
  });
  return [[tcpOrUdp, ports, { counter: null }, { drop: null }], ...each];
}

/** What the rules let through, a line each for people. */
export function letThrough(state: KillSwitchState): string[] {
  const { devices, allowed, lan: prefixes } = state;
  return [
    devices.length === 0 ? "no tunnel yet" : `tunnels: ${devices.join(", ")}`,
    "vpnd's own packets to servers and peers",
    "loopback, DHCP, neighbour discovery",
    ...(prefixes.length === 0 ? [] : [`the LAN, but for DNS: ${prefixes.join(", ")}`]),
    ...allowed.map(({ name, endpoints }) => {
      const same = endpoints.length === 1 && endpoints[0] === name;
      return same ? `host: ${name}` : `host: ${name} (${endpoints.join(", ")})`;
    }),
  ];
}
