/** A row of the log as tools see it: who sent what to whom, and the bytes of it. */
import { columns, kinds } from "../columns.js";
import { headersLength, putHeaders } from "../packet.js";
import { epochShift, type LogRow, readRow } from "../row.js";
import { openPayload, tagBytes } from "../seal.js";

export interface LogRecord {
  /** By the database's clock, microseconds since 1970: when its transaction began. */
  at: bigint;
  /** By the sender's clock. */
  sent: bigint;
  /** Names of nodes. */
  sender: string;
  /** Undefined: nobody had the destination. */
  receiver: string | undefined;
  session: bigint;
  seq: bigint;
  /** An IP packet, or a super-packet; empty: somebody wrote a row that stands for none. */
  packet: Buffer;
  /** Of the whole packet, bytes; more than `packet` has when its payload is not there. */
  length: number;
  payload: PayloadState;
  /** struct virtio_net_hdr: the packet is a super-packet. */
  offload: Uint8Array | undefined;
}

/** `encrypted`: with a key that is not here. `altered`: it does not open with the session's key. */
export type PayloadState = "kept" | "not-kept" | "encrypted" | "altered";

/** What opens the payloads of a session; undefined: they are not encrypted. */
export type KeyOf = (session: bigint) => Uint8Array | "missing" | undefined;

const mostPacket = 66_000;
const latest = 253_402_300_799_999_999n;
const nothing = Buffer.alloc(0);

/** @param bytes a row of `recordColumns` in binary form; not needed any more afterwards */
export function readRecord(bytes: Buffer, keyOf: KeyOf): LogRecord {
  const end = endOf(bytes, columns.length);
  const own = Buffer.from(bytes.subarray(0, end));
  own.writeInt16BE(columns.length, 0);
  const row = readRow(own);
  const [at, senderName, receiverName] = valuesFrom(bytes, end);
  return {
    at: possible((at?.length === 8 ? at.readBigInt64BE(0) : 0n) + epochShift),
    sent: possible(row?.sent ?? 0n),
    sender: nodeName(senderName, row?.sender),
    receiver: row?.receiver == null ? undefined : nodeName(receiverName, row.receiver),
    session: row?.session ?? 0n,
    seq: row?.seq ?? 0n,
    ...(row === undefined ? none("kept") : packetOf(row, keyOf(row.session))),
    offload: row?.kind === kinds.super ? (row.offload ?? undefined) : undefined,
  };
}

type Stored = Pick<LogRecord, "packet" | "length" | "payload">;

const none = (payload: PayloadState): Stored => ({ packet: nothing, length: 0, payload });

function packetOf(row: LogRow, key: ReturnType<KeyOf>): Stored {
  const { fields, payload } = row;
  const total =
    fields?.totalLength ?? Math.max(0, (payload?.length ?? 0) - (key === undefined ? 0 : tagBytes));
  if (total > mostPacket || total < 0) return none("kept");
  const out = Buffer.alloc(total);
  const headers = fields === null ? 0 : headersOf(row, key, out);
  if (headers === undefined) return none("kept");
  const front = out.subarray(0, headers);
  const without = (state: PayloadState): Stored => ({ packet: front, length: total, payload: state });
  if (payload === null) return without("not-kept");
  if (key === "missing") return without("encrypted");
  const plain = key === undefined ? payload : openPayload(key, row, front, payload);
  if (plain === undefined) return without("altered");
  out.set(plain, headers);
  return { packet: out, length: total, payload: "kept" };
}

/** Writes the headers of a packet that has them. @returns their length; undefined: the row stands for no packet */
function headersOf({ fields, payload }: LogRow, key: ReturnType<KeyOf>, out: Buffer): number | undefined {
  if (fields === null) return 0;
  // Of one that was not kept: whatever is behind the headers.
  const size = payload?.length ?? fields.totalLength - headersLength(fields);
  const tag = payload === null || key === undefined ? 0 : tagBytes;
  return size < tag ? undefined : putHeaders(fields, size - tag, out, 0);
}

/** Whoever writes a row may say any time: from 1970 to 9999. */
function possible(micros: bigint): bigint {
  if (micros < 0n) return 0n;
  return micros > latest ? latest : micros;
}

const nodeName = (name: Buffer | undefined, id: number | undefined): string =>
  name === undefined || name.length === 0 ? `node ${id ?? "?"}` : name.toString("utf8");

/** Where the values of a row are over, or so many of them. */
function endOf(bytes: Buffer, count: number): number {
  let at = 2;
  for (let left = count; left > 0; left--) at += 4 + Math.max(0, bytes.readInt32BE(at));
  return at;
}

function valuesFrom(bytes: Buffer, from: number): (Buffer | undefined)[] {
  const values: (Buffer | undefined)[] = [];
  for (let at = from; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? undefined : bytes.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return values;
}
