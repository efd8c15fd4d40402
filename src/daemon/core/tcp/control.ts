/** Control messages of our own framing (docs/wire.md, "TCP link"); unknown ones are left out. */

export type LinkControl = { type: "ping" | "pong"; token: number };

const codes = { ping: 1, pong: 2 } as const;
/** The link has its two ends, and the receiver is neither. */
export const takenControl = Buffer.from([4]);

/** @param message.token 32 bits */
export function encodeLinkControl({ type, token }: LinkControl): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = codes[type];
  bytes.writeUInt32BE(token, 1);
  return bytes;
}

export function parseLinkControl(bytes: Uint8Array): LinkControl | undefined {
  if (bytes.length < 5) return undefined;
  const token = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (bytes[0] === codes.ping) return { type: "ping", token };
  return bytes[0] === codes.pong ? { type: "pong", token } : undefined;
}
