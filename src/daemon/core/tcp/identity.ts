/**
 * The node key of the other end of a TCP link, shown by a signature over what only this connection has (docs/wire.md, "TCP link"):
 * what was decided about a peer holds for this key, and not for whoever connects next.
 */
import { type SigningKey, verifySignature } from "../keys/ed25519.js";

/** What a connection is known by to both ends. */
export interface LinkContext {
  /** Nonces of the hellos. */
  signer: Uint8Array;
  reader: Uint8Array;
  /** Keying material exported from TLS (RFC 8446 section 7.5); empty without TLS. */
  binding: Uint8Array;
}

const type = 3;
const keyBytes = 32;
const signatureBytes = 64;
const label = Buffer.from("vpnd/v1 link", "latin1");

/** The control message that shows who we are. */
export function encodeIdentity(key: SigningKey, context: LinkContext): Buffer {
  return Buffer.concat([Buffer.from([type]), key.publicKey, key.sign(signed(context))]);
}

/** Node key in lower-case hex; undefined for anything but a good identity. */
export function readIdentity(bytes: Uint8Array, context: LinkContext): string | undefined {
  if (bytes[0] !== type || bytes.length < 1 + keyBytes + signatureBytes) return undefined;
  const key = bytes.subarray(1, 1 + keyBytes);
  const signature = bytes.subarray(1 + keyBytes, 1 + keyBytes + signatureBytes);
  return verifySignature(key, signed(context), signature) ? Buffer.from(key).toString("hex") : undefined;
}

/** The order of the nonces is the signer's, so that a signature sent back is of no use. */
function signed({ signer, reader, binding }: LinkContext): Buffer {
  return Buffer.concat([label, signer, reader, binding]);
}
