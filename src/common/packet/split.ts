/** Packets as they would be on a wire, of what a device with offloads gave: super-packets split, checksums completed. */
import { protocols } from "../postgres/packet.js";
import { checksumOf, fold, pseudoSum, sumBytes } from "./checksum.js";
import { type Headers, headersOf } from "./headers.js";

export interface Piece {
  /** From the IP header on; less than `length` when the payload was not kept. */
  bytes: Buffer;
  /** Of the whole packet, bytes. */
  length: number;
}

const fin = 0x01;
const push = 0x08;
const congestionReduced = 0x80;
/** Linux cuts no smaller ones, and a stranger's row must not become 65,000 packets. */
const leastSegment = 8;
const mostHeaders = 512;

/**
 * @param whole not needed any more afterwards: single packets are completed in place
 * @param offload struct virtio_net_hdr, little-endian; undefined: it is one packet
 */
export function split(whole: Piece, offload: Uint8Array | undefined): Piece[] {
  const headers = headersOf(whole.bytes);
  if (headers === undefined) return [whole];
  const { end } = headers;
  const size = segmentSize(offload, headers);
  const payload = whole.length - end;
  if (size === 0 || payload <= 0 || end > mostHeaders) {
    complete(whole, headers);
    return [whole];
  }
  const count = Math.ceil(payload / size);
  const pieces: Piece[] = [];
  const routedSum = headers.routed ? sumWithoutLength(whole, headers) : undefined;
  for (let index = 0; index < count; index++) {
    const from = end + index * size;
    const length = end + Math.min(size, whole.length - from);
    const kept = whole.bytes.subarray(from, Math.max(from, from + length - end));
    const bytes = Buffer.concat([whole.bytes.subarray(0, end), kept]);
    const piece = { bytes, length };
    writeIp(piece, headers, index);
    if (headers.protocol === protocols.tcp) writeTcp(piece, headers, index * size, index + 1 === count);
    else bytes.writeUInt16BE(length - headers.transport, headers.transport + 4);
    writeChecksum(piece, headers, routedSum);
    pieces.push(piece);
  }
  return pieces;
}

/** How many packets `split` makes. */
export function countPackets(whole: Piece, offload: Uint8Array | undefined): number {
  const headers = headersOf(whole.bytes);
  if (headers === undefined) return 1;
  const size = segmentSize(offload, headers);
  return size === 0 ? 1 : Math.max(1, Math.ceil((whole.length - headers.end) / size));
}

/** Payload of each packet; 0: it is one packet. */
function segmentSize(offload: Uint8Array | undefined, { protocol }: Headers): number {
  if (offload === undefined || offload.length < 6 || offload[1] === 0) return 0;
  const size = (offload[4] ?? 0) | ((offload[5] ?? 0) << 8);
  return protocol === protocols.tcp && size < leastSegment ? 0 : size;
}

/** A checksum that was left to the device: the field holds the sum of the pseudo-header. */
function complete(packet: Piece, headers: Headers): void {
  if (packet.bytes.length !== packet.length || headers.routed) return;
  const field = packet.bytes.readUInt16BE(headers.checksum);
  if (field === fold(pseudoOf(packet, headers))) writeChecksum(packet, headers, undefined);
}

const pseudoOf = ({ length }: Piece, { source, destination, protocol, transport }: Headers): number =>
  pseudoSum(source, destination, protocol, length - transport);

function sumWithoutLength({ bytes, length }: Piece, { checksum, transport }: Headers): number {
  return bytes.readUInt16BE(checksum) + (~(length - transport) & 0xffff);
}

function writeIp({ bytes, length }: Piece, { version, transport }: Headers, index: number): void {
  if (version === 6) {
    bytes.writeUInt16BE(length - 40, 4);
    return;
  }
  bytes.writeUInt16BE(length, 2);
  bytes.writeUInt16BE((bytes.readUInt16BE(4) + index) & 0xffff, 4);
  writeIpChecksum(bytes, transport);
}

/** Of IPv4. @param end where its options end */
export function writeIpChecksum(bytes: Buffer, end: number): void {
  bytes.writeUInt16BE(0, 10);
  bytes.writeUInt16BE(checksumOf(sumBytes(bytes, 0, end)), 10);
}

function writeTcp({ bytes }: Piece, { transport }: Headers, offset: number, last: boolean): void {
  bytes.writeUInt32BE((bytes.readUInt32BE(transport + 4) + offset) >>> 0, transport + 4);
  let flags = bytes.readUInt8(transport + 13);
  if (!last) flags &= ~(fin | push);
  if (offset > 0) flags &= ~congestionReduced;
  bytes.writeUInt8(flags, transport + 13);
}

/** @param routed sum of the pseudo-header without length that the kernel gave; undefined: the header says it */
function writeChecksum(packet: Piece, headers: Headers, routed: number | undefined): void {
  const { bytes, length } = packet;
  const { checksum, transport, protocol } = headers;
  bytes.writeUInt16BE(0, checksum);
  const pseudo = routed === undefined ? pseudoOf(packet, headers) : routed + length - transport;
  const sum = checksumOf(pseudo + sumBytes(bytes, transport));
  // Zero would say "none" in UDP.
  bytes.writeUInt16BE(sum === 0 && protocol === protocols.udp ? 0xffff : sum, checksum);
}
