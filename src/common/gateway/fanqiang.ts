/**
 * The protocol of fanqiang-poc, the gateway that ours stands in for (docs/wire.md, "fanqiang"): a binary message is a packet behind 2
 * bytes, the top bit and its length, with zeros after it; one that is empty or begins with a zero is noise. The gateway's first message
 * that is none names the client's subnets.
 */
import ipaddr from "ipaddr.js";
import type { GatewayCodec } from "./codec.js";
import type { GatewayHello } from "./hello.js";
import { noiseSize, paddedSize } from "./padding.js";

/** Bytes; what is larger cannot be said. */
export const largestFanqiangPacket = 0x7fff;
const header = 2;
const topBit = 0x8000;
const longestHello = 200;

export interface FanqiangOptions {
  end: "gateway" | "client";
  /** Sizes are hidden. */
  padding: boolean;
}

/** For one connection. The client's hands the hello on as a control message. */
export function fanqiangCodec({ end, padding }: FanqiangOptions): GatewayCodec {
  let greeted = end === "gateway";
  const size = padding ? paddedSize : (bytes: number): number => bytes;
  const noisy = end === "gateway" || padding;
  return {
    encode: (items, data, ends) => (items === "packets" ? frames(data, ends, size) : []),
    decode(message, sink) {
      // Without the top bit a packet of 256 bytes or more still is one: the original takes it.
      if (message.length === 0 || message[0] === 0) return true;
      const length = message.length < header ? 0 : message.readUInt16BE() % topBit;
      const packet = message.subarray(header, header + length);
      if (greeted) {
        // What is cut off goes on as nothing, to be counted as what it is: no packet.
        const end = packet.length === length ? length : 0;
        sink.onItems("packets", packet.subarray(0, end), Uint32Array.of(end));
      } else if (length > 0 && packet.length === length) {
        greeted = true;
        sink.onControl(packet);
      }
      return true;
    },
    ...(noisy && { noise: () => Buffer.alloc(padding ? noiseSize() : 1) }),
  };
}

/** @param client its addresses in CIDR notation @returns a whole message */
export function encodeFanqiangHello(client: readonly string[], padding: boolean): Buffer {
  const text = Buffer.from(client.map(subnetOf).join());
  const [message = text] = frames(text, [text.length], padding ? paddedSize : (bytes) => bytes);
  return message;
}

/** As a hello of our own protocol. @param message as the codec handed it on @returns undefined when it makes no sense */
export function parseFanqiangHello(message: Uint8Array): GatewayHello | undefined {
  if (message.length > longestHello) return undefined;
  const ends = Buffer.from(message).toString("latin1").split(",").map(endsOf);
  const [four, six] = ends;
  if (four?.family !== "ipv4" || ends.length > 2 || (ends.length === 2 && six?.family !== "ipv6"))
    return undefined;
  const known = six === undefined ? [four] : [four, six];
  return {
    addresses: known.map(({ client }) => client),
    gateways: known.map(({ gateway }) => gateway),
    mtu: largestFanqiangPacket,
    dns: [],
    routes: known.map(({ family }) => (family === "ipv4" ? "0.0.0.0/0" : "::/0")),
    resume: "",
    keepAliveSeconds: 20,
  };
}

function frames(data: Uint8Array, ends: ArrayLike<number>, size: (bytes: number) => number): Buffer[] {
  const lengths = Array.from(ends, (end, i) => end - (ends[i - 1] ?? 0));
  const sizes = lengths.map((length) => (length > largestFanqiangPacket ? 0 : size(header + length)));
  const memory = Buffer.alloc(sizes.reduce((sum, bytes) => sum + bytes, 0));
  const messages: Buffer[] = [];
  let from = 0;
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    const bytes = sizes[i] ?? 0;
    const message = memory.subarray(at, at + bytes);
    if (bytes > 0) {
      message.writeUInt16BE(topBit + length);
      message.set(data.subarray(from, from + length), header);
      messages.push(message);
    }
    from += length;
    at += bytes;
  }
  return messages;
}

/** The subnet's own address, without "::", as the original writes it. */
function subnetOf(cidr: string): string {
  const [address, length] = ipaddr.parseCIDR(cidr);
  const network =
    address.kind() === "ipv4"
      ? ipaddr.IPv4.networkAddressFromCIDR(cidr).toString()
      : ipaddr.IPv6.networkAddressFromCIDR(cidr).toNormalizedString();
  return `${network}/${length}`;
}

/** Of a /30 the gateway is the first host and the client the second; of a /127 the gateway is the first address. */
function endsOf(subnet: string): { family: "ipv4" | "ipv6"; gateway: string; client: string } | undefined {
  if (!ipaddr.isValidCIDR(subnet)) return undefined;
  const [address, length] = ipaddr.parseCIDR(subnet);
  const family = address.kind();
  const first = family === "ipv4" ? 1 : 0;
  if (length > (family === "ipv4" ? 30 : 127)) return undefined;
  const network = ipaddr[family === "ipv4" ? "IPv4" : "IPv6"].networkAddressFromCIDR(subnet).toByteArray();
  const host = (offset: number): string => {
    const last = network.length - 1;
    const bytes = network.map((byte, i) => (i === last ? byte + offset : byte));
    const one = ipaddr.fromByteArray(bytes);
    return one instanceof ipaddr.IPv6 ? one.toRFC5952String() : one.toString();
  };
  return { family, gateway: host(first), client: `${host(first + 1)}/${length}` };
}
