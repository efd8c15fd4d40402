/** Addresses and endpoints as text, compared by value. All texts are canonical (one text for one address). */
import ipaddr from "ipaddr.js";
import { parseEndpoint } from "../../../common/endpoint.js";
import type { Endpoint } from "../engine.js";

const [dot, zero, nine] = [0x2e, 0x30, 0x39];

/** An interface's address with the length of its subnet. */
export interface Subnet {
  address: string;
  length: number;
}

/** Negative when `a` is numerically smaller; IPv4 comes before IPv6. @param a canonical @param b canonical */
export function compareAddresses(a: string, b: string): number {
  const [a4, b4] = [ipv4Number(a), ipv4Number(b)];
  if (a4 !== undefined && b4 !== undefined) return a4 - b4;
  const left = ipaddr.parse(a).toByteArray();
  const right = ipaddr.parse(b).toByteArray();
  if (left.length !== right.length) return left.length - right.length;
  for (const [i, byte] of left.entries()) {
    const difference = byte - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether the address lies in the subnet; never across families. @param address canonical */
export function inSubnet(address: string, subnet: Subnet): boolean {
  const [own, base] = [ipv4Number(address), ipv4Number(subnet.address)];
  if (own !== undefined && base !== undefined) {
    const size = 2 ** (32 - subnet.length);
    return Math.floor(own / size) === Math.floor(base / size);
  }
  const parsed = ipaddr.parse(address);
  const network = ipaddr.parse(subnet.address);
  if (parsed.kind() !== network.kind()) return false;
  return parsed.match(network, subnet.length);
}

/** Whether a node may own the address: inside the prefix, and neither its network nor its broadcast address. */
export function isHostAddress(address: string, prefix: Subnet): boolean {
  if (!inSubnet(address, prefix)) return false;
  const value = ipv4Number(address);
  const hostBits = 32 - prefix.length;
  if (value === undefined || hostBits < 2) return true;
  const host = value % 2 ** hostBits;
  return host !== 0 && host !== 2 ** hostBits - 1;
}

/**
 * The value of a canonical IPv4 address; undefined for one of IPv6. By hand, because each peer is compared with each map and
 * at each wake-up: for a mesh of fifty, parsing with ipaddr.js was more than half of all the core's work.
 */
function ipv4Number(address: string): number | undefined {
  let value = 0;
  let byte = 0;
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i);
    if (code === dot) {
      value = value * 256 + byte;
      byte = 0;
    } else if (code >= zero && code <= nine) byte = byte * 10 + code - zero;
    else return undefined;
  }
  return value * 256 + byte;
}

/** The address of an endpoint; undefined when there is none in it. */
export function hostOf(endpoint: Endpoint): string | undefined {
  return parseEndpoint(endpoint)?.address;
}

/** "10.0.0.2/32", "fd00::2/128". */
export function hostPrefix(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}
