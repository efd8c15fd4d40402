/** What may come in from peers, as whatever moves packets is told it (native/src/filter.h). */

export const filterProtocols = ["tcp", "udp", "icmp"] as const;
export type FilterProtocol = (typeof filterProtocols)[number];

/** Destination ports of a protocol, both ends included; ICMP has none, and takes 0 to 65535. */
export interface FilterService {
  protocol: FilterProtocol;
  first: number;
  last: number;
}

export interface EngineFilterRule {
  allow: boolean;
  /** Prefixes, or addresses of peers, which stand for all that these may send; absent: anybody, empty: nobody. */
  sources?: readonly string[];
  /** Empty: all, of any protocol. */
  services: readonly FilterService[];
}

/**
 * The first rule that matches decides. Packets that answer what this host sends come in all the same. No rules, and others
 * allowed: nothing is filtered, and it costs nothing.
 */
export interface EngineFilter {
  rules: readonly EngineFilterRule[];
  /** What no rule matches. */
  allowOthers: boolean;
}
