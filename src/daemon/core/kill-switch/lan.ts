import { overlaps, parseCidr } from "../network/cidr.js";

/**
 * Subnets that only a LAN has. An attached subnet of other addresses is not let through: whoever runs the LAN chooses its
 * prefix, and could otherwise call a part of the Internet his own.
 */
const privateRanges = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "fc00::/7",
  "fe80::/10",
].flatMap((range) => parseCidr(range) ?? []);

/** What hosts of a LAN find each other by, never routed: link-local and site-wide multicast, broadcast. */
export const lanMulticast = [
  "224.0.0.0/24",
  "239.255.0.0/16",
  "255.255.255.255/32",
  "ff02::/16",
  "ff05::/16",
];

/**
 * Sorts attached addresses into the LAN's prefixes and those that are no LAN for us.
 * @param attached CIDR with host bits
 */
export function splitAttached(attached: readonly string[]): { lan: string[]; refused: string[] } {
  const lan = new Set<string>();
  const refused = new Set<string>();
  for (const text of attached) {
    const cidr = parseCidr(text);
    if (cidr === undefined) continue;
    const within = privateRanges.some((range) => range.length <= cidr.length && overlaps(range, cidr));
    (within ? lan : refused).add(cidr.prefix);
  }
  return { lan: [...lan].sort(), refused: [...refused].sort() };
}
