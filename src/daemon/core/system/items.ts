/**
 * The one door for changes to the machine, pure half: what a network wants (items), what that means on this machine
 * (steps), and how each step is said to people. The half that executes is src/daemon/io/system.
 */

import type { ResolverItem, ResolverState, ResolverStep } from "./resolver-items.js";

/** What a network wants to be true while it is up. Order matters: an item may need those before it. */
export type Item =
  /** A TUN (or TAP) device that we make; its life is that of the descriptor. */
  | { kind: "tun"; name: string; mode?: "tap" }
  /** An existing persistent TUN device that we attach to and give back as it was. */
  | { kind: "existing-tun"; name: string; mode?: "tap" }
  /** Link is up with this MTU (bytes). */
  | { kind: "link"; device: string; mtu: number }
  /** CIDR with host bits, such as "10.0.0.10/16"; brings the connected route of its prefix. */
  | { kind: "address"; device: string; address: string }
  /** `table`: number or name of a routing table; main if left out. */
  | { kind: "route"; device: string; prefix: string; source?: string; table?: string }
  /** Packets to the prefix that no other route of the table takes are refused. A larger metric comes later. */
  | ({ kind: "refusal" } & Refusal)
  | { kind: "rule"; rule: Rule }
  /** A small file of ours that others read; one with the same text is left to whoever made it. */
  | { kind: "file"; path: string; text: string }
  /** Key as below /proc/sys, such as "net/ipv4/ip_forward". */
  | { kind: "sysctl"; key: string; value: string }
  /** A whole table of our own; `commands` are nft JSON commands that fill it, `more` is in nft's own language, for what its JSON gets wrong. */
  | {
      kind: "nft-table";
      family: "inet" | "ip" | "ip6" | "arp";
      name: string;
      commands: readonly unknown[];
      more?: string;
    }
  | ResolverItem;

/** A policy routing rule; it is ours only if all of it is as we made it. */
export interface Rule {
  family: 4 | 6;
  priority: number;
  /** Prefix of source addresses; all if left out. */
  from?: string;
  /** Prefix of destination addresses; all if left out. */
  to?: string;
  fwmark?: number;
  /** It is for all packets that do not match. */
  not?: true;
  protocol?: "tcp" | "udp";
  sourcePort?: number;
  port?: number;
  /** Number or name of the routing table that it leads to. */
  table: string;
  /** The table's default routes do not count. */
  withoutDefault?: true;
}

/** A route that refuses. */
export interface Refusal {
  prefix: string;
  table: string;
  metric: number;
}

/** An interface as it is now. */
export interface Link {
  name: string;
  ifindex: number;
  mtu: number;
  up: boolean;
  /** "tun" for TUN and TAP devices. */
  type: string;
  /** Of TUN devices: "tun" or "tap". */
  tunMode?: string;
  persistent?: boolean;
  /** How the kernel makes link-local addresses: "eui64", "none", …; absent without IPv6. */
  addrGenMode?: string;
  /** CIDR of each address, kernel-made link-local ones left out. */
  addresses: readonly string[];
}

/** The part of the machine that a plan needs to know. */
export interface Machine {
  links: ReadonlyMap<string, Link>;
  sysctls: ReadonlyMap<string, string>;
  /** "family name" of existing nftables tables. */
  nftTables: ReadonlySet<string>;
  /** Keys of routes, as `routeKey` makes them. */
  routes: ReadonlySet<string>;
  /** Keys of rules, as `ruleKey` makes them. */
  rules: ReadonlySet<string>;
  /** Absent: nobody asked. */
  resolver?: ResolverState;
  /** Keys of routes that refuse, as `refusalKey` makes them. */
  refusals: ReadonlySet<string>;
  /** Text of files that exist, by path. */
  files: ReadonlyMap<string, string>;
}

/** One change, with all that is needed to take it back. Journaled as JSON. */
export type Step =
  | { kind: "create-tun"; name: string; ifindex?: number; mode?: "tap" }
  | { kind: "attach-tun"; name: string; ifindex: number; mode?: "tap" }
  | { kind: "set-link"; device: string; mtu: number; created: boolean; before?: LinkBefore }
  | { kind: "add-address"; device: string; address: string; ifindex?: number }
  | { kind: "add-route"; device: string; prefix: string; source?: string; table?: string; ifindex?: number }
  | ({ kind: "add-refusal" } & Refusal)
  | { kind: "add-rule"; rule: Rule }
  /** `folders`: those that were made for it, the outermost first. */
  | { kind: "write-file"; path: string; text: string; folders?: readonly string[] }
  | { kind: "set-sysctl"; key: string; value: string; before: string }
  | { kind: "add-nft-table"; family: string; name: string; commands: readonly unknown[]; more?: string }
  | ResolverStep;

/** How an existing link was before us. */
export interface LinkBefore {
  ifindex: number;
  mtu: number;
  up: boolean;
  addresses: readonly string[];
  /** Present if we changed it. */
  addrGenMode?: string;
}
