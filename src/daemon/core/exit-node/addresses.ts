/** Addresses that exit nodes and their clients agree on without asking each other. */
import ipaddr from "ipaddr.js";
import { overlaps, parseCidr } from "../network/cidr.js";

/** Locally assigned (RFC 4193), its 40 bits drawn once for vpnd; the virtual IPv4 address is its end. */
const innerSix = "fd6e:8a5c:41d7::";
const innerSixLength = 96;

/** All addresses that `innerAddress6` gives. */
export const innerPrefix6 = `${innerSix}/${innerSixLength}`;

/**
 * The address under which a node of an IPv4 network sends IPv6 through an exit node, which translates it.
 * @param virtualIp with or without length
 * @returns undefined for an IPv6 address: it needs none
 */
export function innerAddress6(virtualIp: string): string | undefined {
  const [address = ""] = virtualIp.split("/");
  if (!ipaddr.IPv4.isValidFourPartDecimal(address)) return undefined;
  const bytes = ipaddr.parse(innerSix).toByteArray().slice(0, 12);
  const full = ipaddr.fromByteArray([...bytes, ...ipaddr.parse(address).toByteArray()]);
  return full instanceof ipaddr.IPv6 ? full.toRFC5952String() : undefined;
}

/** The same with its length, as it is put on the device. */
export function innerCidr6(virtualIp: string): string | undefined {
  const address = innerAddress6(virtualIp);
  return address === undefined ? undefined : `${address}/${innerSixLength}`;
}

/** What is no part of the Internet: an exit node carries nothing there. */
export const notInternet = {
  4: [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
  ],
  6: ["::/96", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
} as const;

/** Whether nothing of the subnet is outside of the Internet. */
export function isInternet(prefix: string): boolean {
  const cidr = parseCidr(prefix);
  if (cidr === undefined) return false;
  return !notInternet[cidr.family].some((range) => {
    const other = parseCidr(range);
    return other !== undefined && overlaps(other, cidr);
  });
}

/** Whether the address may be one by which the outside sees a machine. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  const ranges = parsed.kind() === "ipv4" ? notInternet[4] : notInternet[6];
  return !ranges.some((range) => parsed.match(ipaddr.parseCIDR(range)));
}
