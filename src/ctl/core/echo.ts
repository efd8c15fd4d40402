/** Pings as whole IP packets: ICMP (RFC 792) and ICMPv6 (RFC 4443) echo, for a tunnel that takes packets. */
import ipaddr from "ipaddr.js";

export interface Echo {
  /** Addresses of one family. */
  from: string;
  to: string;
  /** Both of 16 bits. */
  id: number;
  sequence: number;
}

interface Family {
  header: number;
  protocol: number;
  request: number;
  reply: number;
}

const four: Family = { header: 20, protocol: 1, request: 8, reply: 0 };
const six: Family = { header: 40, protocol: 58, request: 128, reply: 129 };
const hops = 64;
/** As ping(8) sends. */
const payload = Buffer.alloc(56, "vpnctl gateway ping ");

export function echoRequest(echo: Echo): Buffer {
  const [source, destination] = [bytesOf(echo.from), bytesOf(echo.to)];
  const family = source.length === 4 ? four : six;
  const message = Buffer.alloc(8 + payload.length);
  message.writeUInt8(family.request);
  message.writeUInt16BE(echo.id, 4);
  message.writeUInt16BE(echo.sequence, 6);
  payload.copy(message, 8);
  const pseudo =
    family === six ? [...source, ...destination, 0, 0, 0, message.length, 0, 0, 0, six.protocol] : [];
  message.writeUInt16BE(checksum(Buffer.from([...pseudo, ...message])), 2);
  const header = Buffer.alloc(family.header);
  if (family === four) {
    header.writeUInt8(0x45);
    header.writeUInt16BE(four.header + message.length, 2);
    header.writeUInt8(hops, 8);
    header.writeUInt8(four.protocol, 9);
  } else {
    header.writeUInt8(0x60);
    header.writeUInt16BE(message.length, 4);
    header.writeUInt8(six.protocol, 6);
    header.writeUInt8(hops, 7);
  }
  const addresses = header.length - 2 * source.length;
  source.copy(header, addresses);
  destination.copy(header, addresses + source.length);
  if (family === four) header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, message]);
}

/** The sequence of the answer to a request of this id; undefined for everything else. */
export function echoReply(packet: Buffer, { from, to, id }: Omit<Echo, "sequence">): number | undefined {
  const family = (packet[0] ?? 0) >> 4 === 4 ? four : six;
  // IPv4 may have options.
  const header = family === four ? ((packet[0] ?? 0) & 15) * 4 : six.header;
  if (header < family.header || packet.length < header + 8) return undefined;
  const [source, destination] = [bytesOf(to), bytesOf(from)];
  const addresses = family.header - 2 * source.length;
  const ends = Buffer.concat([source, destination]);
  const answers =
    source.length === (family === four ? 4 : 16) &&
    packet[family === four ? 9 : 6] === family.protocol &&
    packet[header] === family.reply &&
    packet.subarray(addresses, addresses + ends.length).equals(ends) &&
    packet.readUInt16BE(header + 4) === id;
  return answers ? packet.readUInt16BE(header + 6) : undefined;
}

const bytesOf = (address: string): Buffer => Buffer.from(ipaddr.parse(address).toByteArray());

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2)
    sum += at + 1 < bytes.length ? bytes.readUInt16BE(at) : bytes.readUInt8(at) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
