/** Payloads of the log under the network's key: AES-256-GCM (docs/postgres.md, "Encrypted payloads"). */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { derivePskKey } from "../psk.js";

/** What the payloads of one session are encrypted with. */
export interface PayloadKeys {
  /** 32 bytes. */
  key: Uint8Array;
  /** 8 bytes that tell nothing of the key: whoever derives the same has the same PSK. */
  check: Uint8Array;
}

/** What a payload belongs to: moved elsewhere, it does not open. */
export interface SealedRow {
  sender: number;
  receiver: number | null;
  session: bigint;
  seq: bigint;
  /** Microseconds since 1970. */
  sent: bigint;
  kind: number;
  offload: Uint8Array | null;
}

export const saltBytes = 32;
export const tagBytes = 16;

const keyBytes = 32;
const checkBytes = 8;
const algorithm = "aes-256-gcm";
const rowBytes = 38;

/**
 * @param psk as `parsePsk` gave it
 * @param network its name in the database
 * @param salt of the session, chosen at random by its sender: the same key never comes twice, whatever a database says
 */
export function payloadKeys(psk: Uint8Array, network: string, salt: Uint8Array): PayloadKeys {
  const secret = derivePskKey(psk, "payloads");
  const bytes = new Uint8Array(hkdfSync("sha256", secret, salt, network, keyBytes + checkBytes));
  return { key: bytes.subarray(0, keyBytes), check: bytes.subarray(keyBytes) };
}

/**
 * Encrypts a payload.
 * @param headers bytes of the packet in front of it, which stay in clear and cannot be changed either
 * @returns as many bytes and the tag
 */
export function sealPayload(
  key: Uint8Array,
  row: SealedRow,
  headers: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv(algorithm, key, nonceOf(row), { authTagLength: tagBytes });
  cipher.setAAD(boundTo(row, headers));
  const sealed = cipher.update(payload);
  cipher.final();
  return Buffer.concat([sealed, cipher.getAuthTag()]);
}

/** The payload; undefined: it, its headers or its row were altered, or the key is another one. */
export function openPayload(
  key: Uint8Array,
  row: SealedRow,
  headers: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const length = sealed.length - tagBytes;
  if (length < 0) return undefined;
  const decipher = createDecipheriv(algorithm, key, nonceOf(row), { authTagLength: tagBytes });
  decipher.setAAD(boundTo(row, headers));
  decipher.setAuthTag(sealed.subarray(length));
  const payload = decipher.update(sealed.subarray(0, length));
  try {
    decipher.final();
    return payload;
  } catch {
    return undefined;
  }
}

/** A session's numbers never come twice, and its key is its own. */
function nonceOf({ session, seq }: SealedRow): Buffer {
  const nonce = Buffer.allocUnsafe(12);
  nonce.writeUInt32BE(Number(BigInt.asUintN(32, session)), 0);
  nonce.writeBigUInt64BE(BigInt.asUintN(64, seq), 4);
  return nonce;
}

function boundTo(row: SealedRow, headers: Uint8Array): Buffer {
  const { offload } = row;
  const size = offload?.length ?? 0;
  const bytes = Buffer.allocUnsafe(rowBytes + size + headers.length);
  bytes.writeBigInt64BE(BigInt.asIntN(64, row.session), 0);
  bytes.writeBigInt64BE(BigInt.asIntN(64, row.seq), 8);
  bytes.writeBigInt64BE(BigInt.asIntN(64, row.sent), 16);
  bytes.writeInt32BE(row.sender | 0, 24);
  bytes.writeInt32BE((row.receiver ?? -1) | 0, 28);
  bytes.writeInt16BE(row.kind, 32);
  bytes.writeInt32BE(size, 34);
  if (offload !== null) bytes.set(offload, rowBytes);
  bytes.set(headers, rowBytes + size);
  return bytes;
}
