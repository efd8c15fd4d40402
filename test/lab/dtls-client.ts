/** Messages of a DTLS 1.2 client (RFC 6347) without a PSK, as bytes: enough to take a server as far as anybody can. */
import { randomBytes } from "node:crypto";

const versionDtls12 = 0xfefd;
const clientHello = 1;
const helloVerifyRequest = 3;
const serverHelloDone = 14;
const clientKeyExchange = 16;
const ecdhePskChacha20 = 0xccac;

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

function u24(value: number): Buffer {
  return Buffer.from([value >> 16, (value >> 8) & 255, value & 255]);
}

function record(sequence: number, type: number, messageSequence: number, body: Buffer): Buffer {
  const header = [Buffer.from([type]), u24(body.length), u16(messageSequence), u24(0), u24(body.length)];
  const message = Buffer.concat([...header, body]);
  const start = [Buffer.from([22]), u16(versionDtls12), u16(0), Buffer.alloc(4), u16(sequence)];
  return Buffer.concat([...start, u16(message.length), message]);
}

// supported_groups x25519, ec_point_formats uncompressed, extended_master_secret, renegotiation_info
const extensions = Buffer.from("000a00040002001d000b0002010000170000ff01000100", "hex");

/** @param random 32 bytes @param cookie empty for the first one */
export function makeClientHello(random: Uint8Array, cookie: Uint8Array): Buffer {
  const body = Buffer.concat([
    u16(versionDtls12),
    random,
    Buffer.from([0, cookie.length]),
    cookie,
    u16(2),
    u16(ecdhePskChacha20),
    Buffer.from([1, 0]),
    u16(extensions.length),
    extensions,
  ]);
  const sequence = cookie.length === 0 ? 0 : 1;
  return record(sequence, clientHello, sequence, body);
}

/** With an identity that no PSK gives. */
export function makeClientKeyExchange(): Buffer {
  const identity = Buffer.from(randomBytes(8).toString("hex"));
  const body = Buffer.concat([u16(identity.length), identity, Buffer.from([32]), randomBytes(32)]);
  return record(2, clientKeyExchange, 2, body);
}

/** The cookie of a HelloVerifyRequest. */
export function readCookie(datagram: Uint8Array): Uint8Array | undefined {
  if (datagram[0] !== 22 || datagram[13] !== helloVerifyRequest) return undefined;
  const size = datagram[27] ?? 0;
  return datagram.length < 28 + size ? undefined : datagram.subarray(28, 28 + size);
}

/** Whether the server's flight ends in this datagram, and the client would have to go on. */
export function endsFlight(datagram: Uint8Array): boolean {
  for (let at = 0; at + 13 < datagram.length; ) {
    const type = datagram[at];
    const size = ((datagram[at + 11] ?? 0) << 8) | (datagram[at + 12] ?? 0);
    if (type === 22 && datagram[at + 13] === serverHelloDone) return true;
    at += 13 + size;
  }
  return false;
}
