/** Addresses and endpoints as text, compared by value. All texts are canonical (one text for one address). */
import ipaddr from "ipaddr.js";
import { parseEndpoint } from "../../../common/endpoint.js";
import type { Endpoint } from "../engine.js";

/** An interface's address with the length of its subnet. */
export interface Subnet {
  address: string;
  length: number;
}

/** Negative when `a` is numerically smaller; IPv4 comes before IPv6. @param a canonical @param b canonical */
export function compareAddresses(a: string, b: string): number {
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
  const parsed = ipaddr.parse(address);
  const network = ipaddr.parse(subnet.address);
  if (parsed.kind() !== network.kind()) return false;
  return parsed.match(network, subnet.length);
}

/** Whether a node may own the address: inside the prefix, and neither its network nor its broadcast address. */
export function isHostAddress(address: string, prefix: Subnet): boolean {
  if (!inSubnet(address, prefix)) return false;
  const bytes = ipaddr.parse(address).toByteArray();
  const hostBits = bytes.length * 8 - prefix.length;
  if (bytes.length !== 4 || hostBits < 2) return true;
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0) % 2 ** hostBits;
  return value !== 0 && value !== 2 ** hostBits - 1;
}

/** The address of an endpoint; undefined when there is none in it. */
export function hostOf(endpoint: Endpoint): string | undefined {
  return parseEndpoint(endpoint)?.address;
}

/** "10.0.0.2/32", "fd00::2/128". */
export function hostPrefix(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}
