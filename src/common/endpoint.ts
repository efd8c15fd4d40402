/**
 * Canonical text of IP addresses and endpoints: equal addresses are equal strings. IPv6 as in RFC 5952, IPv4-mapped IPv6
 * (RFC 4291 section 2.5.5.2) as the IPv4 address it stands for.
 */
import { isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";

export interface HostPort {
  /** Canonical, without brackets. */
  address: string;
  /** 0..65535. */
  port: number;
  family: 4 | 6;
}

/** What an address is good for as a node's own: unspecified, multicast and broadcast ones name no node. */
export type AddressKind = "node" | "loopback" | "none";

/** Longest text with a chance of being an address, so that hostile input costs nothing. */
const maxAddressLength = 45;

/** Canonical address, or undefined if the text is none; a zone ("%eth0") is refused, it means nothing elsewhere. */
export function canonicalAddress(text: string): string | undefined {
  if (text.length > maxAddressLength) return undefined;
  // Dotted quads without leading zeros are canonical as they are.
  if (isIPv4(text)) return text;
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

/** "ADDR:PORT" or "[ADDR]:PORT" of an address in any accepted form. */
export function formatEndpoint(address: string, port: number): string {
  const canonical = canonicalAddress(address) ?? address;
  return canonical.includes(":") ? `[${canonical}]:${port}` : `${canonical}:${port}`;
}

/** Parses "ADDR:PORT" or "[ADDR]:PORT"; undefined if it is neither. Host names are not looked up. */
export function parseEndpoint(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, inBrackets, bare, digits] = match;
  const port = Number(digits);
  if (port > 65535) return undefined;
  if (inBrackets !== undefined && !isIPv6(inBrackets)) return undefined;
  const address = canonicalAddress(inBrackets ?? bare ?? "");
  return address === undefined ? undefined : { address, port, family: isIPv4(address) ? 4 : 6 };
}

/** @param address canonical */
export function addressKind(address: string): AddressKind {
  const range = ipaddr.parse(address).range();
  if (range === "loopback") return "loopback";
  return range === "unspecified" || range === "multicast" || range === "broadcast" ? "none" : "node";
}
