/**
 * Pre-shared keys as people meet them: text forms, checks and the fingerprint (docs/wire.md, "Keys from the PSK").
 */
import { createHash, hkdfSync } from "node:crypto";
import { VpnError } from "./errors.js";

const prefix = "vpsk1_";
const keyBytes = 32;
const checksumBytes = 4;
const maxTypedBytes = 256;
const hkdfSalt = "vpnd/v1";
const generateHint = "make a strong one with: vpnctl psk generate";

/** Labels of the keys that are derived from a PSK (docs/wire.md). */
export type PskLabel =
  | "dtls psk"
  | "psk identity"
  | "network id"
  | "records"
  | "probe"
  | "punch"
  | "fingerprint"
  | "link psk"
  | "link identity"
  | "payloads";

export interface PskOptions {
  /** A `--badger` network: the bytes as typed are the key, weak ones too. */
  badger: boolean;
}

/** Text form of a new PSK. @param random 32 random bytes */
export function generatePsk(random: Uint8Array): string {
  if (random.length !== keyBytes) throw new RangeError("a PSK is made of 32 random bytes");
  return prefix + Buffer.concat([random, checksum(random)]).toString("base64url");
}

/**
 * The key's bytes from what a user typed or a file held.
 * @throws VpnError `usage` that says what is wrong and how to get a good one
 */
export function parsePsk(typed: Uint8Array, options: PskOptions): Uint8Array {
  if (options.badger) return parseTyped(typed);
  const parsed = parseStrong(typed);
  if (typeof parsed === "string") throw new VpnError("usage", parsed, { hint: generateHint });
  return parsed;
}

/** True when the typed key has no 256-bit form; such keys can be guessed offline, and only `--badger` takes them. */
export function isWeak(typed: Uint8Array): boolean {
  return typeof parseStrong(typed) === "string";
}

/** 8 characters by which people compare PSKs. @param psk bytes as `parsePsk` gave them */
export function fingerprint(psk: Uint8Array): string {
  return base32(derivePskKey(psk, "fingerprint").subarray(0, 5));
}

/** One 32-byte key of a PSK; each label gives an independent one. */
export function derivePskKey(psk: Uint8Array, label: PskLabel): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", psk, hkdfSalt, label, 32));
}

function parseTyped(typed: Uint8Array): Uint8Array {
  let end = typed.length;
  if (end > 0 && typed[end - 1] === 0x0a) {
    end -= 1;
    if (end > 0 && typed[end - 1] === 0x0d) end -= 1;
  }
  if (end === 0) throw new VpnError("usage", "the PSK is empty", { hint: generateHint });
  if (end > maxTypedBytes) {
    throw new VpnError("usage", `the PSK has ${end} bytes; at most ${maxTypedBytes} are possible`, {
      hint: generateHint,
    });
  }
  return typed.slice(0, end);
}

/** The key, or a line on what is wrong with it. */
function parseStrong(typed: Uint8Array): Uint8Array | string {
  const text = Buffer.from(typed.subarray(0, 4 * maxTypedBytes))
    .toString("latin1")
    .trimEnd();
  if (text === "") return "the PSK is empty";
  if (text.startsWith(prefix)) return parseVpsk(text.slice(prefix.length));
  if (/^[0-9a-fA-F]{64}$/.test(text)) return new Uint8Array(Buffer.from(text, "hex"));
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) {
    const bytes = Buffer.from(text, "base64");
    if (bytes.length === keyBytes) return new Uint8Array(bytes);
  }
  return "the PSK is too weak: it is neither a vpsk1_ key nor 32 bytes in hex or base64";
}

function parseVpsk(body: string): Uint8Array | string {
  const bytes = Buffer.from(body, "base64url");
  if (!/^[A-Za-z0-9_-]*$/.test(body)) return "the PSK has a character that no vpsk1_ key has";
  if (body.length !== 48) {
    return `the PSK is cut or too long: ${body.length} characters follow vpsk1_, and there must be 48`;
  }
  const key = new Uint8Array(bytes.subarray(0, keyBytes));
  if (!bytes.subarray(keyBytes).equals(checksum(key)))
    return "the PSK's checksum is wrong: a character was mistyped";
  return key;
}

function checksum(key: Uint8Array): Buffer {
  return createHash("sha256").update("vpnd psk").update(key).digest().subarray(0, checksumBytes);
}

function base32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let shift = BigInt(bytes.length * 8 - 5); shift >= 0n; shift -= 5n) {
    text += "abcdefghijklmnopqrstuvwxyz234567".charAt(Number((bits >> shift) & 31n));
  }
  return text;
}
