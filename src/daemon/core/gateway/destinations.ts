/** Where clients of a gateway may not go, unless somebody says so: everything that is not the Internet (RFC 6890 and successors). */
import { parseCidr } from "../network/cidr.js";

export const closedDestinations: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // With loopback, and all of NAT64, which leads to IPv4 addresses that may be closed ones.
  "::/8",
  "100::/64",
  "2001::/32",
  "2001:db8::/32",
  "2002::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/** @returns the prefixes without host bits; undefined when a text is none */
export function canonicalPrefixes(texts: readonly string[]): string[] | undefined {
  const found = texts.map((text) =>
    parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`),
  );
  return found.every((one) => one !== undefined)
    ? [...new Set(found.map((one) => one?.prefix ?? ""))]
    : undefined;
}
