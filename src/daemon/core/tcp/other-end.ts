/** The virtual IP of a classic end, which says nothing of itself. */
import ipaddr from "ipaddr.js";
import { parseCidr } from "../network/cidr.js";

/** Stands for an address that is not known yet. */
export const unknownAddress = "0.0.0.0";

/**
 * The other address of a prefix with room for two. @param virtualIp own address in CIDR notation
 * @returns undefined when there may be more
 */
export function otherOfTwo(virtualIp: string): string | undefined {
  const own = parseCidr(virtualIp);
  if (own?.family !== 4 || own.length < 30) return undefined;
  const last = own.bytes[3] ?? 0;
  // In a /30 the hosts are 1 and 2, in a /31 0 and 1.
  const other = own.length === 31 ? last ^ 1 : last ^ 3;
  return [...own.bytes.slice(0, 3), other].join(".");
}

/** Where an item of the link comes from, if that is an address of the prefix. @param virtualIp own address in CIDR notation */
export function sourceWithin(item: Uint8Array, tap: boolean, virtualIp: string): string | undefined {
  const source = tap ? frameSource(item) : packetSource(item);
  const own = parseCidr(virtualIp);
  if (source === undefined || own === undefined || source.length !== own.bytes.length) return undefined;
  const address = ipaddr.fromByteArray([...source]);
  const text = address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
  if (text === own.address || parseCidr(`${text}/${own.length}`)?.prefix !== own.prefix) return undefined;
  return text;
}

function packetSource(packet: Uint8Array): Uint8Array | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet.length >= 20) return packet.subarray(12, 16);
  return version === 6 && packet.length >= 40 ? packet.subarray(8, 24) : undefined;
}

function frameSource(frame: Uint8Array): Uint8Array | undefined {
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  if (type === 0x0800 || type === 0x86dd) return packetSource(frame.subarray(14));
  // ARP: the sender's protocol address (RFC 826).
  return type === 0x0806 && frame.length >= 42 ? frame.subarray(28, 32) : undefined;
}
