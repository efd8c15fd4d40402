/** What a router does to traffic between its LAN ("lan") and the public side ("wan"): one nftables ruleset a kind. */

/**
 * - `open`: routes, no NAT, no filter
 * - `filtered`: routes, no NAT, lets in only what answers traffic from inside
 * - `port-restricted`: NAT that keeps the source port for all destinations, lets in only answers of the very address and port
 * - `symmetric`: NAT with another source port for each destination
 * - `blocked`: NAT for TCP and ICMP, UDP dropped
 */
export type NatKind = "open" | "filtered" | "port-restricted" | "symmetric" | "blocked";

export interface NatOptions {
  /** `blocked` only: UDP to this destination port passes all the same (a firewall that knows the rendezvous server). */
  allowUdpPort?: number;
}

export function translates(kind: NatKind): boolean {
  return kind !== "open" && kind !== "filtered";
}

export function ruleset(kind: NatKind, options: NatOptions = {}): string {
  if (kind === "open") return "";
  const udp: string[] = [];
  if (kind === "blocked") {
    if (options.allowUdpPort !== undefined) {
      udp.push(`udp dport ${options.allowUdpPort} accept`);
      udp.push(`udp sport ${options.allowUdpPort} ct state established accept`);
    }
    udp.push("meta l4proto udp drop");
  }
  const filter = [
    "table inet lab {",
    "  chain forward {",
    "    type filter hook forward priority 0; policy drop;",
    ...udp.map((rule) => `    ${rule}`),
    "    ct state established,related accept",
    '    iifname "lan" accept',
    "  }",
    // An unsolicited datagram that reached the router itself would leave a conntrack entry, and with it the port
    // that a later mapping of an inner host should have kept.
    "  chain input {",
    "    type filter hook input priority 0; policy accept;",
    '    iifname "wan" meta l4proto udp ct state new drop',
    "  }",
  ];
  if (translates(kind)) {
    filter.push(
      "  chain postrouting {",
      "    type nat hook postrouting priority 100; policy accept;",
      `    meta nfproto ipv4 oifname "wan" masquerade${kind === "symmetric" ? " fully-random" : ""}`,
      "  }",
    );
  }
  filter.push("}", "");
  return filter.join("\n");
}
