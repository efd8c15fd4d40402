/**
 * A packet taken apart into the columns of the log, and put together again byte for byte (docs/postgres.md, "What a row holds").
 * What cannot be rebuilt exactly from its fields is kept whole instead.
 */
import { extensionChain } from "./extension-headers.js";

/** IP header fields; of IPv6 those that it has. Absent ones are null, so that all are alike. */
export interface PacketFields {
  version: 4 | 6;
  ihl: number | null;
  /** Type of service, or traffic class. */
  tos: number;
  /** Of the whole packet, bytes. */
  totalLength: number;
  identification: number | null;
  flags: number | null;
  fragmentOffset: number | null;
  /** Or hop limit. */
  ttl: number;
  /** Of what follows all headers of IP. */
  protocol: number;
  headerChecksum: number | null;
  /** Of IPv4; null: none. */
  options: Uint8Array | null;
  /** 4 or 16 bytes. */
  source: Uint8Array;
  destination: Uint8Array;
  flowLabel: number | null;
  /** The number of the first one, then their bytes; null: none. */
  extensionHeaders: Uint8Array | null;
  transport: Transport;
  /** Behind all of the above. */
  payload: Uint8Array;
}

/** What follows the headers of IP, as far as it is taken apart. */
export interface Transport {
  sourcePort: number | null;
  destinationPort: number | null;
  tcpSequence: number | null;
  tcpAcknowledgment: number | null;
  /** With the reserved bits: 12 of them. */
  tcpFlags: number | null;
  tcpWindow: number | null;
  tcpUrgent: number | null;
  tcpOptions: Uint8Array | null;
  udpLength: number | null;
  icmpType: number | null;
  icmpCode: number | null;
  /** Of TCP, UDP or ICMP. */
  checksum: number | null;
}

export const protocols = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;

const ipv4Header = 20;
const ipv6Header = 40;
const tcpHeader = 20;
const udpHeader = 8;
const icmpHeader = 4;

const opaque: Transport = {
  sourcePort: null,
  destinationPort: null,
  tcpSequence: null,
  tcpAcknowledgment: null,
  tcpFlags: null,
  tcpWindow: null,
  tcpUrgent: null,
  tcpOptions: null,
  udpLength: null,
  icmpType: null,
  icmpCode: null,
  checksum: null,
};

/** Undefined: it is no packet that its fields would give back exactly. The parts are views of `packet`. */
export function takeApart(packet: Buffer): PacketFields | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return ipv4(packet);
  return version === 6 ? ipv6(packet) : undefined;
}

/** Source and destination of anything that looks like a packet. */
export function addressesOf(packet: Uint8Array): { source: Uint8Array; destination: Uint8Array } | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4 && packet.length >= ipv4Header) {
    return { source: packet.subarray(12, 16), destination: packet.subarray(16, 20) };
  }
  if (version !== 6 || packet.length < ipv6Header) return undefined;
  return { source: packet.subarray(8, 24), destination: packet.subarray(24, 40) };
}

function ipv4(packet: Buffer): PacketFields | undefined {
  if (packet.length < ipv4Header) return undefined;
  const ihl = packet.readUInt8(0) & 0x0f;
  const header = ihl * 4;
  const totalLength = packet.readUInt16BE(2);
  if (header < ipv4Header || header > packet.length || totalLength !== packet.length) return undefined;
  const fragment = packet.readUInt16BE(6);
  const fragmentOffset = fragment & 0x1fff;
  const protocol = packet.readUInt8(9);
  const { transport, size } = transportOf(packet, header, fragmentOffset === 0 ? protocol : -1);
  return {
    version: 4,
    ihl,
    tos: packet.readUInt8(1),
    totalLength,
    identification: packet.readUInt16BE(4),
    flags: fragment >> 13,
    fragmentOffset,
    ttl: packet.readUInt8(8),
    protocol,
    headerChecksum: packet.readUInt16BE(10),
    options: header === ipv4Header ? null : packet.subarray(ipv4Header, header),
    source: packet.subarray(12, 16),
    destination: packet.subarray(16, 20),
    flowLabel: null,
    extensionHeaders: null,
    transport,
    payload: packet.subarray(header + size),
  };
}

function ipv6(packet: Buffer): PacketFields | undefined {
  if (packet.length < ipv6Header) return undefined;
  const first = packet.readUInt32BE(0);
  const nextHeader = packet.readUInt8(6);
  if (packet.readUInt16BE(4) !== packet.length - ipv6Header) return undefined;
  const chain = extensionChain(packet, ipv6Header, nextHeader);
  if (chain === undefined) return undefined;
  const { end, protocol, fragmentOffset } = chain;
  const { transport, size } = transportOf(packet, end, fragmentOffset === 0 ? protocol : -1);
  const chained = end > ipv6Header;
  return {
    version: 6,
    ihl: null,
    tos: (first >>> 20) & 0xff,
    totalLength: packet.length,
    identification: null,
    flags: null,
    fragmentOffset: null,
    ttl: packet.readUInt8(7),
    protocol,
    headerChecksum: null,
    options: null,
    source: packet.subarray(8, 24),
    destination: packet.subarray(24, 40),
    flowLabel: first & 0xfffff,
    extensionHeaders: chained
      ? Buffer.concat([Buffer.of(nextHeader), packet.subarray(ipv6Header, end)])
      : null,
    transport,
    payload: packet.subarray(end + size),
  };
}

/** @param protocol -1: of a fragment, which has no such header */
function transportOf(packet: Buffer, at: number, protocol: number): { transport: Transport; size: number } {
  const left = packet.length - at;
  if (protocol === protocols.tcp && left >= tcpHeader) {
    const size = (packet.readUInt8(at + 12) >> 4) * 4;
    if (size >= tcpHeader && size <= left) return { transport: tcp(packet, at, size), size };
  }
  if (protocol === protocols.udp && left >= udpHeader) {
    const transport = {
      ...opaque,
      sourcePort: packet.readUInt16BE(at),
      destinationPort: packet.readUInt16BE(at + 2),
      udpLength: packet.readUInt16BE(at + 4),
      checksum: packet.readUInt16BE(at + 6),
    };
    return { transport, size: udpHeader };
  }
  if ((protocol === protocols.icmp || protocol === protocols.icmp6) && left >= icmpHeader) {
    const transport = {
      ...opaque,
      icmpType: packet.readUInt8(at),
      icmpCode: packet.readUInt8(at + 1),
      checksum: packet.readUInt16BE(at + 2),
    };
    return { transport, size: icmpHeader };
  }
  return { transport: opaque, size: 0 };
}

function tcp(packet: Buffer, at: number, size: number): Transport {
  return {
    ...opaque,
    sourcePort: packet.readUInt16BE(at),
    destinationPort: packet.readUInt16BE(at + 2),
    tcpSequence: packet.readUInt32BE(at + 4),
    tcpAcknowledgment: packet.readUInt32BE(at + 8),
    tcpFlags: packet.readUInt16BE(at + 12) & 0x0fff,
    tcpWindow: packet.readUInt16BE(at + 14),
    checksum: packet.readUInt16BE(at + 16),
    tcpUrgent: packet.readUInt16BE(at + 18),
    tcpOptions: size === tcpHeader ? null : packet.subarray(at + tcpHeader, at + size),
  };
}

/**
 * Writes the packet that the fields were taken from.
 * @returns its length; undefined when they are not those of a packet, or there is no room. Then `out` holds nothing of use.
 */
export function putTogether(fields: PacketFields, out: Buffer, at: number): number | undefined {
  const { payload } = fields;
  const headers = putHeaders(fields, payload.length, out, at);
  if (headers === undefined) return undefined;
  out.set(payload, at + headers);
  return headers + payload.length;
}

/**
 * Writes what is in front of the payload, and leaves room for that.
 * @returns its length; undefined as by `putTogether`
 */
export function putHeaders(
  fields: PacketFields,
  payloadLength: number,
  out: Buffer,
  at: number,
): number | undefined {
  const length = headersLength(fields);
  const behind = transportSize(fields.transport);
  const bytes = fields.version === 4 ? 4 : 16;
  const fits =
    length + payloadLength === fields.totalLength &&
    fields.totalLength <= out.length - at &&
    fields.source.length === bytes &&
    fields.destination.length === bytes;
  if (!fits) return undefined;
  if (fields.version === 4) {
    if ((fields.ihl ?? 0) * 4 !== length - behind) return undefined;
    putIpv4(fields, out, at);
  } else {
    putIpv6(fields, out, at);
  }
  putTransport(fields.transport, out, at + length - behind);
  return length;
}

/** Bytes in front of the payload. */
export function headersLength(fields: PacketFields): number {
  const head = fields.version === 4 ? ipv4Header : ipv6Header;
  const extra = fields.options?.length ?? (fields.extensionHeaders?.length ?? 1) - 1;
  return head + extra + transportSize(fields.transport);
}

function putIpv4(fields: PacketFields, out: Buffer, at: number): void {
  out[at] = 0x40 | ((fields.ihl ?? 0) & 0x0f);
  out[at + 1] = fields.tos;
  put16(out, at + 2, fields.totalLength);
  put16(out, at + 4, fields.identification ?? 0);
  put16(out, at + 6, ((fields.flags ?? 0) << 13) | ((fields.fragmentOffset ?? 0) & 0x1fff));
  out[at + 8] = fields.ttl;
  out[at + 9] = fields.protocol;
  put16(out, at + 10, fields.headerChecksum ?? 0);
  out.set(fields.source, at + 12);
  out.set(fields.destination, at + 16);
  if (fields.options !== null) out.set(fields.options, at + ipv4Header);
}

function putIpv6(fields: PacketFields, out: Buffer, at: number): void {
  const { extensionHeaders } = fields;
  out[at] = 0x60 | ((fields.tos >> 4) & 0x0f);
  out[at + 1] = ((fields.tos & 0x0f) << 4) | (((fields.flowLabel ?? 0) >> 16) & 0x0f);
  put16(out, at + 2, fields.flowLabel ?? 0);
  put16(out, at + 4, fields.totalLength - ipv6Header);
  out[at + 6] = extensionHeaders?.[0] ?? fields.protocol;
  out[at + 7] = fields.ttl;
  out.set(fields.source, at + 8);
  out.set(fields.destination, at + 24);
  if (extensionHeaders !== null) out.set(extensionHeaders.subarray(1), at + ipv6Header);
}

function transportSize({ tcpSequence, tcpOptions, udpLength, icmpType }: Transport): number {
  if (tcpSequence !== null) return tcpHeader + (tcpOptions?.length ?? 0);
  if (udpLength !== null) return udpHeader;
  return icmpType === null ? 0 : icmpHeader;
}

function putTransport(transport: Transport, out: Buffer, at: number): void {
  const { tcpOptions } = transport;
  const checksum = transport.checksum ?? 0;
  if (transport.tcpSequence !== null) {
    const words = (tcpHeader + (tcpOptions?.length ?? 0)) >> 2;
    put16(out, at, transport.sourcePort ?? 0);
    put16(out, at + 2, transport.destinationPort ?? 0);
    put32(out, at + 4, transport.tcpSequence);
    put32(out, at + 8, transport.tcpAcknowledgment ?? 0);
    put16(out, at + 12, (words << 12) | ((transport.tcpFlags ?? 0) & 0x0fff));
    put16(out, at + 14, transport.tcpWindow ?? 0);
    put16(out, at + 16, checksum);
    put16(out, at + 18, transport.tcpUrgent ?? 0);
    if (tcpOptions !== null) out.set(tcpOptions, at + tcpHeader);
  } else if (transport.udpLength !== null) {
    put16(out, at, transport.sourcePort ?? 0);
    put16(out, at + 2, transport.destinationPort ?? 0);
    put16(out, at + 4, transport.udpLength);
    put16(out, at + 6, checksum);
  } else if (transport.icmpType !== null) {
    out[at] = transport.icmpType;
    out[at + 1] = transport.icmpCode ?? 0;
    put16(out, at + 2, checksum);
  }
}

// Plain stores, which cut what is too large: a stranger's row must not throw.
function put16(out: Buffer, at: number, value: number): void {
  out[at] = value >> 8;
  out[at + 1] = value;
}

function put32(out: Buffer, at: number, value: number): void {
  put16(out, at, value / 0x10000);
  put16(out, at + 2, value);
}
