/** Where the headers of a packet lie. */
import { addressesOf, protocols } from "../postgres/packet.js";

export interface Headers {
  version: 4 | 6;
  protocol: number;
  source: Uint8Array;
  destination: Uint8Array;
  /** Where TCP or UDP begins. */
  transport: number;
  /** Where the checksum of TCP or UDP lies. */
  checksum: number;
  /** Where the payload begins. */
  end: number;
  /** Has a routing header: its destination is not that of the pseudo-header. */
  routed: boolean;
}

const hopByHop = 0;
const routing = 43;
const destinationOptions = 60;
const tcpHeader = 20;
const udpHeader = 8;

/** Of TCP and UDP that is no fragment; undefined: it is something else, or cut off. */
export function headersOf(packet: Buffer): Headers | undefined {
  const addresses = addressesOf(packet);
  if (addresses === undefined) return undefined;
  const ip = (packet[0] ?? 0) >> 4 === 4 ? ipv4(packet) : ipv6(packet);
  if (ip === undefined) return undefined;
  const { protocol, transport } = ip;
  const tcp = protocol === protocols.tcp;
  if (!tcp && protocol !== protocols.udp) return undefined;
  if (transport + (tcp ? tcpHeader : udpHeader) > packet.length) return undefined;
  const end = transport + (tcp ? (packet.readUInt8(transport + 12) >> 4) * 4 : udpHeader);
  if (end > packet.length || (tcp && end < transport + tcpHeader)) return undefined;
  return { ...ip, ...addresses, end, checksum: transport + (tcp ? 16 : 6) };
}

type Ip = Pick<Headers, "version" | "protocol" | "transport" | "routed">;

function ipv4(packet: Buffer): Ip | undefined {
  const transport = (packet.readUInt8(0) & 0x0f) * 4;
  const fragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (transport < 20 || fragment) return undefined;
  return { version: 4, protocol: packet.readUInt8(9), transport, routed: false };
}

/** A fragment header ends the walk: what follows it may be cut off anywhere. */
function ipv6(packet: Buffer): Ip | undefined {
  let protocol = packet.readUInt8(6);
  let transport = 40;
  let routed = false;
  while (protocol === hopByHop || protocol === routing || protocol === destinationOptions) {
    if (transport + 8 > packet.length) return undefined;
    routed ||= protocol === routing;
    protocol = packet.readUInt8(transport);
    transport += (packet.readUInt8(transport + 1) + 1) * 8;
  }
  return { version: 6, protocol, transport, routed };
}
