/** Ed25519 keys from 32-byte seeds (RFC 8032), through node:crypto. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/** DER of a PKCS #8 Ed25519 private key up to the seed (RFC 8410, section 7). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");
/** DER of a SubjectPublicKeyInfo up to the key (RFC 8410, section 4). */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

export interface SigningKey {
  /** Public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/** @param seed 32 bytes @throws RangeError on any other length */
export function signingKey(seed: Uint8Array): SigningKey {
  if (seed.length !== 32) throw new RangeError("an Ed25519 seed has 32 bytes");
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, seed]),
    format: "der",
    type: "pkcs8",
  });
  return {
    publicKey: rawPublicKey(key),
    sign: (message) => new Uint8Array(sign(null, message, key)),
  };
}

/** False also for keys and signatures of a wrong length. */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    const key = createPublicKey({
      key: Buffer.concat([spkiPrefix, publicKey]),
      format: "der",
      type: "spki",
    });
    return verify(null, message, key, signature);
  } catch {
    // Not every 32 bytes are a point of the curve.
    return false;
  }
}

function rawPublicKey(privateKey: KeyObject): Uint8Array {
  const der = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(spkiPrefix.length));
}
