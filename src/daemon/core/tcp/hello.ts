/**
 * How two vpnd on a TCP link find out about each other (docs/wire.md, "TCP link"): one message as the very first item, which a classic
 * end takes as ordinary traffic: an IPv4 UDP packet to all hosts of the link, on a TAP an Ethernet frame that no bridge forwards.
 */
import { canonicalAddress } from "../../../common/endpoint.js";

export const nonceBytes = 16;

export interface LinkHello {
  /** Random; its echo in the acknowledgement shows that this very message was understood. */
  nonce: Uint8Array;
  tap: boolean;
  /** Takes super-packets. */
  supers: boolean;
  /** Of the device, bytes. */
  mtu: number;
  /** Canonical, without prefix length. */
  virtualIp: string;
  /** One DNS label. */
  name: string;
}

const magic = Buffer.from("vpndlink", "latin1");
const version = 1;
const typeHello = 1;
const typeAck = 2;
const typeTaken = 3;
const ipHeader = 20;
const udpHeader = 8;
const ethernetHeader = 14;
const port = 55_555;
const allHosts = [224, 0, 0, 1];
/** 01:80:c2:00:00:0e stays on one link (IEEE 802.1Q, table 8-1); 0x88b5 is for experiments. */
const ethernet = Buffer.from("0180c200000e02000000000188b5", "hex");

export function encodeHello(hello: LinkHello): Buffer {
  const name = Buffer.from(hello.name, "latin1").subarray(0, 63);
  const ip = Buffer.from(hello.virtualIp, "latin1").subarray(0, 45);
  const head = Buffer.alloc(3);
  head[0] = (hello.supers ? 1 : 0) | (hello.tap ? 2 : 0);
  head.writeUInt16BE(hello.mtu, 1);
  const text = [Buffer.from([ip.length]), ip, Buffer.from([name.length]), name];
  return wrap(
    hello.tap,
    Buffer.concat([magic, Buffer.from([version, typeHello]), hello.nonce, head, ...text]),
  );
}

/** What says "I understood your hello, and from here on I speak our own framing". @param nonce of that hello */
export function encodeAck(nonce: Uint8Array, tap: boolean): Buffer {
  return wrap(tap, Buffer.concat([magic, Buffer.from([version, typeAck]), nonce]));
}

/** What a further end is told before its connection is closed: the link has its two ends. */
export function encodeTaken(tap: boolean): Buffer {
  return wrap(tap, Buffer.concat([magic, Buffer.from([version, typeTaken])]));
}

export function isTaken(item: Uint8Array, tap: boolean): boolean {
  return unwrap(item, tap, typeTaken) !== undefined;
}

/** Undefined: ordinary traffic. */
export function parseHello(item: Uint8Array, tap: boolean): LinkHello | undefined {
  const body = unwrap(item, tap, typeHello);
  if (body === undefined || body.length < nonceBytes + 5) return undefined;
  const flags = body[nonceBytes] ?? 0;
  const mtu = body.readUInt16BE(nonceBytes + 1);
  const ip = textAt(body, nonceBytes + 3);
  const name = ip && textAt(body, ip.end);
  const virtualIp = canonicalAddress(ip?.text ?? "");
  if (name === undefined || virtualIp === undefined || mtu < 68) return undefined;
  if (!/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/.test(name.text)) return undefined;
  if (((flags & 2) !== 0) !== tap) return undefined;
  const nonce = Uint8Array.from(body.subarray(0, nonceBytes));
  return { nonce, tap, supers: (flags & 1) !== 0, mtu, virtualIp, name: name.text };
}

/** Whether the item acknowledges the hello with this nonce. */
export function isAck(item: Uint8Array, nonce: Uint8Array, tap: boolean): boolean {
  const body = unwrap(item, tap, typeAck);
  return body !== undefined && body.length >= nonceBytes && body.subarray(0, nonceBytes).equals(nonce);
}

function textAt(body: Buffer, at: number): { text: string; end: number } | undefined {
  const length = body[at];
  if (length === undefined || at + 1 + length > body.length) return undefined;
  return { text: body.toString("latin1", at + 1, at + 1 + length), end: at + 1 + length };
}

function wrap(tap: boolean, body: Buffer): Buffer {
  return tap ? Buffer.concat([ethernet, body]) : ipPacket(body);
}

function unwrap(item: Uint8Array, tap: boolean, type: number): Buffer | undefined {
  const start = tap ? ethernetHeader : ipHeader + udpHeader;
  const bytes = Buffer.from(item.buffer, item.byteOffset, item.length);
  if (bytes.length < start + magic.length + 2) return undefined;
  const body = bytes.subarray(start);
  if (!body.subarray(0, magic.length).equals(magic)) return undefined;
  const outside = tap
    ? bytes.subarray(12, 14).equals(ethernet.subarray(12, 14))
    : bytes[0] === 0x45 && bytes[9] === 17 && bytes.subarray(16, 20).equals(Buffer.from(allHosts));
  if (!outside || body[magic.length] !== version || body[magic.length + 1] !== type) return undefined;
  return body.subarray(magic.length + 2);
}

/** From 0.0.0.0, which stands for "this host" (RFC 1122 section 3.2.1.3), with a TTL that leads nowhere. */
function ipPacket(body: Buffer): Buffer {
  const packet = Buffer.alloc(ipHeader + udpHeader + body.length);
  packet.set([0x45, 0], 0);
  packet.writeUInt16BE(packet.length, 2);
  packet.set([0, 0, 0x40, 0, 1, 17], 4);
  packet.set(allHosts, 16);
  packet.writeUInt16BE(checksum(packet.subarray(0, ipHeader), 0), 10);
  packet.writeUInt16BE(port, ipHeader);
  packet.writeUInt16BE(port, ipHeader + 2);
  packet.writeUInt16BE(udpHeader + body.length, ipHeader + 4);
  packet.set(body, ipHeader + udpHeader);
  const pseudo = 224 * 256 + 0 + 1 + 17 + udpHeader + body.length;
  // 0 would say that there is no checksum (RFC 768).
  packet.writeUInt16BE(checksum(packet.subarray(ipHeader), pseudo) || 0xffff, ipHeader + 6);
  return packet;
}

/** RFC 1071. */
function checksum(bytes: Buffer, start: number): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i++) sum += (bytes[i] ?? 0) << (i % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
