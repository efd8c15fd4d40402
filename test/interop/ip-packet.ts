/** Just enough of IPv4 and ICMP to be a host at the far end of a tunnel. */

const headerBytes = 20;
const icmp = 1;
const echoRequestType = 8;
const echoReplyType = 0;

export interface IpPacket {
  source: string;
  destination: string;
  protocol: number;
  /** Bytes, as the header says. */
  length: number;
}

/** The header of an IPv4 packet, or undefined if the bytes are not exactly one. */
export function parseIp(data: Buffer): IpPacket | undefined {
  if (data.length < headerBytes || data.readUInt8(0) !== 0x45 || data.readUInt16BE(2) !== data.length)
    return undefined;
  return {
    source: [...data.subarray(12, 16)].join("."),
    destination: [...data.subarray(16, 20)].join("."),
    protocol: data.readUInt8(9),
    length: data.length,
  };
}

export function echoRequest(source: string, destination: string, sequence: number, payload: Buffer): Buffer {
  const message = Buffer.alloc(8 + payload.length);
  message.writeUInt8(echoRequestType, 0);
  message.writeUInt16BE(0x7670, 4);
  message.writeUInt16BE(sequence, 6);
  payload.copy(message, 8);
  message.writeUInt16BE(checksum(message), 2);
  return wrap(source, destination, message);
}

/** The answer of a host that is pinged; undefined for everything else. */
export function echoReply(request: Buffer): Buffer | undefined {
  const header = parseIp(request);
  if (header?.protocol !== icmp || request[headerBytes] !== echoRequestType) return undefined;
  const message = Buffer.from(request.subarray(headerBytes));
  message.writeUInt8(echoReplyType, 0);
  message.writeUInt16BE(0, 2);
  message.writeUInt16BE(checksum(message), 2);
  return wrap(header.destination, header.source, message);
}

/** The payload of an echo reply; undefined for everything else. */
export function echoed(packet: Buffer): Buffer | undefined {
  const header = parseIp(packet);
  if (header?.protocol !== icmp || packet[headerBytes] !== echoReplyType) return undefined;
  return packet.subarray(headerBytes + 8);
}

function wrap(source: string, destination: string, message: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(headerBytes + message.length, 2);
  header.writeUInt8(64, 8);
  header.writeUInt8(icmp, 9);
  Buffer.from(source.split(".").map(Number)).copy(header, 12);
  Buffer.from(destination.split(".").map(Number)).copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, message]);
}

/** RFC 1071. */
function checksum(data: Buffer): number {
  let sum = 0;
  for (let at = 0; at < data.length; at += 2) {
    sum += at + 1 < data.length ? data.readUInt16BE(at) : data.readUInt8(at) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
