/**
 * What a node tells another one about itself in a row that is no packet (docs/postgres.md, "Subnets and exit nodes"). It is signed with its
 * node key, for its session: a member that says it has somebody else's key is not believed.
 */
import { type SigningKey, verifySignature } from "../keys/ed25519.js";

const type = 0x30;
const keyBytes = 32;
const signatureBytes = 64;
const head = 1 + keyBytes + signatureBytes;
const purpose = Buffer.from("vpnd log announcement\0");

/** Where it holds. */
export interface AnnouncementPlace {
  /** Name in the database. */
  network: string;
  /** Of the sender. */
  session: bigint;
}

/** @param message as `encodeAnnouncement` gave it */
export function signAnnouncement(key: SigningKey, place: AnnouncementPlace, message: Uint8Array): Buffer {
  const signature = key.sign(signed(place, message));
  return Buffer.concat([Buffer.of(type), key.publicKey, signature, message]);
}

/** Undefined: it is none, or not of who it says. */
export function openAnnouncement(
  place: AnnouncementPlace,
  data: Uint8Array,
): { nodeKey: string; message: Uint8Array } | undefined {
  if (data[0] !== type || data.length < head) return undefined;
  // It outlives the memory that it came in.
  const bytes = Buffer.from(data);
  const key = bytes.subarray(1, 1 + keyBytes);
  const message = bytes.subarray(head);
  if (!verifySignature(key, signed(place, message), bytes.subarray(1 + keyBytes, head))) return undefined;
  return { nodeKey: key.toString("hex"), message };
}

function signed({ network, session }: AnnouncementPlace, message: Uint8Array): Buffer {
  const where = Buffer.alloc(8);
  where.writeBigInt64BE(session);
  return Buffer.concat([purpose, where, Buffer.from(`${network}\0`), message]);
}
