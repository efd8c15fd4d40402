/** What there is to say of this machine's resolver: wanted, found, changed. */

export interface ResolverItem {
  kind: "resolver";
  device: string;
  /** Addresses. */
  servers: readonly string[];
  /** Names below these are asked of the servers, for instance "home.vpn". */
  domains: readonly string[];
  /** And so are all others. */
  everything: boolean;
  /** What /etc/resolv.conf is to be, should it be needed for that. */
  resolvConf: string;
}

/** DNS settings of a device in systemd-resolved. */
export interface LinkDns {
  servers: readonly string[];
  /** Those that are only for routing begin with "~". */
  domains: readonly string[];
  defaultRoute: boolean;
}

/** A file, byte by byte as a string of Latin-1. */
export type ResolvConf =
  | { type: "absent" }
  | { type: "file"; text: string; mode: number; uid: number; gid: number }
  | { type: "link"; target: string };

export interface ResolverState {
  /** systemd-resolved runs, for this network namespace. */
  resolved: boolean;
  links: ReadonlyMap<string, LinkDns>;
  file: ResolvConf;
  /** What programs read, through links; empty: nothing. */
  text: string;
  /** It cannot be replaced, only written. */
  inPlace: boolean;
  /** Why it cannot even be written. */
  obstacle?: string;
}

export type ResolverStep =
  | { kind: "set-link-dns"; device: string; ifindex: number; settings: LinkDns; before: LinkDns }
  | { kind: "replace-resolv-conf"; text: string; before: ResolvConf; inPlace: boolean };

export type ResolverAction =
  | { type: "resolvectl"; args: readonly string[] }
  | { type: "resolv-conf"; content: ResolvConf; inPlace: boolean };
