import ipaddr from "ipaddr.js";
import { VpnError } from "../../../common/errors.js";

/** An address with its prefix, parsed; `text` is canonical. */
export interface Cidr {
  family: 4 | 6;
  /** The address alone, canonical. */
  address: string;
  length: number;
  /** "ADDRESS/LENGTH". */
  text: string;
  /** Prefix without host bits, "10.0.0.0/16". */
  prefix: string;
  bytes: readonly number[];
}

/** @returns undefined when the text is no CIDR */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text);
  const [, head, tail] = match ?? [];
  if (head === undefined || tail === undefined) return undefined;
  // ipaddr.js also takes "10.1" and "0x0a000001".
  if (!head.includes(":") && !ipaddr.IPv4.isValidFourPartDecimal(head)) return undefined;
  if (!ipaddr.isValid(head)) return undefined;
  const parsed = ipaddr.parse(head);
  const length = Number(tail);
  const bytes = parsed.toByteArray();
  if (length > bytes.length * 8) return undefined;
  const network = masked(bytes, length);
  const address = parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString();
  return {
    family: parsed.kind() === "ipv4" ? 4 : 6,
    address,
    length,
    text: `${address}/${length}`,
    prefix: `${format(network)}/${length}`,
    bytes,
  };
}

/** Whether the prefixes share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.family !== b.family) return false;
  const length = Math.min(a.length, b.length);
  return format(masked(a.bytes, length)) === format(masked(b.bytes, length));
}

/**
 * The virtual IP of `--vip`, which must be usable as an address of a host among others.
 * @throws VpnError `usage`
 */
export function parseVirtualIp(text: string): Cidr {
  const bad = (why: string): VpnError =>
    new VpnError("usage", `virtual IP ${JSON.stringify(text)} ${why}`, {
      hint: "give an address with prefix length, such as --vip 10.0.0.10/16",
    });
  const cidr = parseCidr(text);
  if (!cidr) throw bad(text.includes("/") ? "is no address" : "has no prefix length");
  const range = ipaddr.parse(cidr.address).range();
  if (["unspecified", "broadcast", "multicast", "linkLocal", "loopback", "ipv4Mapped"].includes(range)) {
    throw bad("is not usable as a host's address");
  }
  const bits = cidr.bytes.length * 8;
  if (cidr.length < 8) throw bad("has too wide a prefix (at most /8)");
  if (cidr.length === bits) throw bad("leaves no room for other nodes");
  if (cidr.family === 4 && cidr.length <= 30) {
    if (`${cidr.address}/${cidr.length}` === cidr.prefix) throw bad("is the network's own address");
    const host = cidr.bytes.map((byte, index) => byte | (0xff >>> clamp(cidr.length - index * 8)));
    if (host.every((byte, index) => byte === cidr.bytes[index])) throw bad("is the broadcast address");
  }
  return cidr;
}

const clamp = (bits: number): number => Math.max(0, Math.min(8, bits));

function masked(bytes: readonly number[], length: number): number[] {
  return bytes.map((byte, index) => byte & (0xff << (8 - clamp(length - index * 8))) & 0xff);
}

function format(bytes: number[]): string {
  const address = ipaddr.fromByteArray(bytes);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}
