/** Tokens by which a client that comes back gets the addresses that it had: nothing has to be remembered for them. */
import { createHmac, timingSafeEqual } from "node:crypto";

export interface Resumed {
  slot: number;
  /** Of the lease: another one of the same slot has another. */
  nonce: string;
}

export const nonceBytes = 12;
const macBytes = 16;
const bodyBytes = 4 + nonceBytes;

/** @param key secret, of any length @param user whose it is; nobody else can use it */
export function makeResumeToken(key: Uint8Array, user: string, { slot, nonce }: Resumed): string {
  const body = Buffer.alloc(bodyBytes);
  body.writeUInt32BE(slot);
  body.set(Buffer.from(nonce, "hex").subarray(0, nonceBytes), 4);
  return Buffer.concat([body, mac(key, user, body)]).toString("base64url");
}

/** Undefined: it is not of this gateway, or not of this user. */
export function readResumeToken(key: Uint8Array, user: string, token: string): Resumed | undefined {
  if (token.length > 64) return undefined;
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length !== bodyBytes + macBytes) return undefined;
  const body = bytes.subarray(0, bodyBytes);
  if (!timingSafeEqual(bytes.subarray(bodyBytes), mac(key, user, body))) return undefined;
  return { slot: body.readUInt32BE(), nonce: body.subarray(4).toString("hex") };
}

function mac(key: Uint8Array, user: string, body: Uint8Array): Buffer {
  return createHmac("sha256", key).update(body).update(user).digest().subarray(0, macBytes);
}
