/** Keys and identities of a TLS-PSK link (docs/wire.md, "TCP link"). */
import { createHmac, timingSafeEqual } from "node:crypto";
import { derivePskKey } from "../../../common/psk.js";
import type { PskEpoch } from "../keys/psk-ring.js";

export const identityNonceBytes = 8;
const macBytes = 16;
const form = /^vpnd-link-([0-9a-f]{16})([0-9a-f]{32})$/;

/** The key of TLS. */
export function linkKey(psk: Uint8Array): Uint8Array {
  return derivePskKey(psk, "link psk");
}

/** What names a PSK to those who have it, and nothing to others. @param nonce random */
export function linkIdentity(psk: Uint8Array, nonce: Uint8Array): string {
  const hex = Buffer.from(nonce).toString("hex");
  return `vpnd-link-${hex}${mac(psk, hex).toString("hex")}`;
}

/** The PSK that an identity was made from; undefined: none of these. */
export function pskOfIdentity(identity: string, psks: readonly PskEpoch[]): PskEpoch | undefined {
  const [, nonce, tag] = form.exec(identity) ?? [];
  if (nonce === undefined || tag === undefined) return undefined;
  const asked = Buffer.from(tag, "hex");
  return psks.find(({ psk }) => timingSafeEqual(mac(psk, nonce), asked));
}

function mac(psk: Uint8Array, nonce: string): Buffer {
  return createHmac("sha256", derivePskKey(psk, "link identity"))
    .update(nonce)
    .digest()
    .subarray(0, macBytes);
}
