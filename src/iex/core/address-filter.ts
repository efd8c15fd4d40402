/** Which source addresses may use the server. */
import ipaddr from "ipaddr.js";
import { canonicalAddress } from "../../common/endpoint.js";

/** Tells whether a canonical address may. */
export type AddressFilter = (address: string) => boolean;

export type Prefix = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** "ADDR/BITS", or an address alone for just this one; undefined: neither. */
export function parsePrefix(text: string): Prefix | undefined {
  const [addressText = "", bitsText, ...rest] = text.split("/");
  const canonical = canonicalAddress(addressText);
  if (canonical === undefined || rest.length > 0) return undefined;
  const address = ipaddr.parse(canonical);
  const longest = address.kind() === "ipv4" ? 32 : 128;
  if (bitsText === undefined) return [address, longest];
  // The bits of an IPv4-mapped prefix count from another place than those of the address it was unmapped to.
  if (!/^\d{1,3}$/.test(bitsText) || (longest === 32 && addressText.includes(":"))) return undefined;
  const bits = Number(bitsText);
  return bits <= longest ? [address, bits] : undefined;
}

/** @param prefixes empty: everybody may */
export function addressFilter(prefixes: readonly Prefix[]): AddressFilter {
  if (prefixes.length === 0) return () => true;
  return (text) => {
    const address = ipaddr.parse(text);
    return prefixes.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
  };
}
