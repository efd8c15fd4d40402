/** /etc/resolv.conf, as resolv.conf(5) has it. */
import ipaddr from "ipaddr.js";

/** The resolver of glibc takes no more. */
const mostServers = 3;

/** Addresses of the servers named in it, in order, without duplicates. */
export function serversOf(text: string): string[] {
  const found = new Set<string>();
  for (const line of text.split("\n")) {
    const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
    if (address !== undefined && isAddress(address)) found.add(address);
  }
  return [...found];
}

/** The file for these servers. @param network for which they are asked */
export function resolvConfText(servers: readonly string[], network: string): string {
  return [
    `# Made by vpnd: names are asked through network ${network}. The file that was here comes back with`,
    "# vpnctl exit-node off, or, when vpnd was killed, with vpnd --cleanup.",
    ...servers.slice(0, mostServers).map((server) => `nameserver ${server}`),
    "",
  ].join("\n");
}

/** The stub of systemd-resolved, which knows where to ask better. */
export const isStub = (server: string): boolean => server === "127.0.0.53" || server === "127.0.0.54";

/** Link-local ones carry a zone, "fe80::1%eth0". */
function isAddress(text: string): boolean {
  const bare = text.replace(/%[A-Za-z0-9_.-]+$/, "");
  return bare.includes(":") ? ipaddr.IPv6.isValid(bare) : ipaddr.IPv4.isValidFourPartDecimal(bare);
}
