/**
 * The one door for changes to the machine, pure half: what a network wants (items), what that means on this machine
 * (steps), and how each step is said to people. The half that executes is src/daemon/io/system.
 */

/** What a network wants to be true while it is up. Order matters: an item may need those before it. */
export type Item =
  /** A TUN device that we make; its life is that of the descriptor. */
  | { kind: "tun"; name: string }
  /** An existing persistent TUN device that we attach to and give back as it was. */
  | { kind: "existing-tun"; name: string }
  /** Link is up with this MTU (bytes). */
  | { kind: "link"; device: string; mtu: number }
  /** CIDR with host bits, such as "10.0.0.10/16"; brings the connected route of its prefix. */
  | { kind: "address"; device: string; address: string }
  | { kind: "route"; device: string; prefix: string; source?: string }
  /** Key as below /proc/sys, such as "net/ipv4/ip_forward". */
  | { kind: "sysctl"; key: string; value: string }
  /** A whole table of our own; `commands` are nft JSON commands that fill it. */
  | { kind: "nft-table"; family: "inet" | "ip" | "ip6"; name: string; commands: readonly unknown[] };

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
  /** CIDR of each address, kernel-made link-local ones left out. */
  addresses: readonly string[];
}

/** The part of the machine that a plan needs to know. */
export interface Machine {
  links: ReadonlyMap<string, Link>;
  sysctls: ReadonlyMap<string, string>;
  /** "family name" of existing nftables tables. */
  nftTables: ReadonlySet<string>;
}

/** One change, with all that is needed to take it back. Journaled as JSON. */
export type Step =
  | { kind: "create-tun"; name: string; ifindex?: number }
  | { kind: "attach-tun"; name: string }
  | { kind: "set-link"; device: string; mtu: number; created: boolean; before?: LinkBefore }
  | { kind: "add-address"; device: string; address: string; ifindex?: number }
  | { kind: "add-route"; device: string; prefix: string; source?: string; ifindex?: number }
  | { kind: "set-sysctl"; key: string; value: string; before: string }
  | { kind: "add-nft-table"; family: string; name: string; commands: readonly unknown[] };

/** How an existing link was before us. */
export interface LinkBefore {
  ifindex: number;
  mtu: number;
  up: boolean;
  addresses: readonly string[];
}

/** One line for people (`--dry-run`, logs). */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case "create-tun":
      return `create device ${step.name} (tun)`;
    case "attach-tun":
      return `attach to existing device ${step.name}`;
    case "set-link":
      return `set ${step.device} up, mtu ${step.mtu}${step.before ? ` (was ${step.before.up ? "up" : "down"}, mtu ${step.before.mtu})` : ""}`;
    case "add-address":
      return `add address ${step.address} to ${step.device}`;
    case "add-route":
      return `add route ${step.prefix} over ${step.device}`;
    case "set-sysctl":
      return `set ${step.key.replaceAll("/", ".")} to ${step.value} (was ${step.before})`;
    case "add-nft-table":
      return `add nftables table ${step.family} ${step.name}`;
  }
}

/** One line for people on how a step is taken back. */
export function describeUndo(step: Step): string {
  switch (step.kind) {
    case "create-tun":
      return `remove device ${step.name}`;
    case "attach-tun":
      return `detach from device ${step.name}`;
    case "set-link":
      return step.before
        ? `restore ${step.device}: ${step.before.up ? "up" : "down"}, mtu ${step.before.mtu}`
        : `set ${step.device} down`;
    case "add-address":
      return `remove address ${step.address} from ${step.device}`;
    case "add-route":
      return `remove route ${step.prefix} over ${step.device}`;
    case "set-sysctl":
      return `set ${step.key.replaceAll("/", ".")} back to ${step.before}`;
    case "add-nft-table":
      return `remove nftables table ${step.family} ${step.name}`;
  }
}
