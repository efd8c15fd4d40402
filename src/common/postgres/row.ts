/** Rows of the log in PostgreSQL's binary format, which is the same for COPY and for the answers to queries. */
import { columns, kinds } from "./columns.js";
import type { PacketFields, Transport } from "./packet.js";

/** A row without what the server adds. */
export interface LogRow {
  /** Numbers of nodes in the database. */
  sender: number;
  receiver: number | null;
  session: bigint;
  /** In the session, from 1 on without order of time. */
  seq: bigint;
  /** By the sender's clock, microseconds since 1970. */
  sent: bigint;
  kind: number;
  /** struct virtio_net_hdr of a super-packet. */
  offload: Uint8Array | null;
  /** Null: of no packet, or of one that is kept whole. */
  fields: PacketFields | null;
  /** All there is when `fields` is null. Null: not kept. */
  payload: Uint8Array | null;
}

/** Microseconds from 1970 to 2000, where PostgreSQL's time begins. */
export const epochShift = 946_684_800_000_000n;
/** More than a row has besides its bytes: 4 of length and up to 20 of value for each column. */
export const mostRowOverhead = 2 + columns.length * 24;

const inetFamily4 = 2;
const inetFamily6 = 3;

/** Writes rows one behind the other, into memory that grows with them. */
export class RowWriter {
  #out: Buffer;
  #at = 0;

  /** @param memory the writer's from here on, whatever it holds */
  constructor(memory: Buffer) {
    this.#out = memory;
  }

  /** All of it, for the next writer; it may be another one than in the beginning. */
  get memory(): Buffer {
    return this.#out;
  }

  get length(): number {
    return this.#at;
  }

  /** What was written, a view of the memory. */
  take(): Buffer {
    return this.#out.subarray(0, this.#at);
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#out.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  row(row: LogRow): void {
    const { fields } = row;
    const inner = (fields?.options?.length ?? 0) + (fields?.extensionHeaders?.length ?? 0);
    const tcp = fields?.transport.tcpOptions?.length ?? 0;
    this.#room(mostRowOverhead + inner + tcp + (row.payload?.length ?? 0));
    this.#at = this.#out.writeInt16BE(columns.length, this.#at);
    this.#int4(row.sender);
    this.#int8(row.session);
    this.#int8(row.seq);
    this.#int8(row.sent - epochShift);
    this.#int4(row.receiver);
    this.#int2(row.kind);
    this.#bytes(row.offload);
    if (fields === null) this.#nulls(columns.length - 8);
    else this.#fields(fields);
    this.#bytes(row.payload);
  }

  #fields(fields: PacketFields): void {
    this.#int2(fields.version);
    this.#int2(fields.ihl);
    this.#int2(fields.tos);
    this.#int4(fields.totalLength);
    this.#int4(fields.identification);
    this.#int2(fields.flags);
    this.#int2(fields.fragmentOffset);
    this.#int2(fields.ttl);
    this.#int2(fields.protocol);
    this.#int4(fields.headerChecksum);
    this.#bytes(fields.options);
    this.#inet(fields.source);
    this.#inet(fields.destination);
    this.#int4(fields.flowLabel);
    this.#bytes(fields.extensionHeaders);
    this.#transport(fields.transport);
  }

  #transport(transport: Transport): void {
    this.#int4(transport.sourcePort);
    this.#int4(transport.destinationPort);
    this.#long(transport.tcpSequence);
    this.#long(transport.tcpAcknowledgment);
    this.#int2(transport.tcpFlags);
    this.#int4(transport.tcpWindow);
    this.#int4(transport.tcpUrgent);
    this.#bytes(transport.tcpOptions);
    this.#int4(transport.udpLength);
    this.#int2(transport.icmpType);
    this.#int2(transport.icmpCode);
    this.#int4(transport.checksum);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#at + bytes));
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }

  #int2(value: number | null): void {
    if (value === null) {
      this.#null();
      return;
    }
    const at = this.#out.writeInt32BE(2, this.#at);
    this.#at = this.#out.writeInt16BE(value, at);
  }

  #int4(value: number | null): void {
    if (value === null) {
      this.#null();
      return;
    }
    const at = this.#out.writeInt32BE(4, this.#at);
    this.#at = this.#out.writeInt32BE(value, at);
  }

  #int8(value: bigint): void {
    const at = this.#out.writeInt32BE(8, this.#at);
    this.#at = this.#out.writeBigInt64BE(value, at);
  }

  /** Of 32 bits without a sign, in a column of 64. */
  #long(value: number | null): void {
    if (value === null) {
      this.#null();
      return;
    }
    let at = this.#out.writeInt32BE(8, this.#at);
    at = this.#out.writeInt32BE(0, at);
    this.#at = this.#out.writeUInt32BE(value, at);
  }

  #bytes(value: Uint8Array | null): void {
    if (value === null) {
      this.#null();
      return;
    }
    const at = this.#out.writeInt32BE(value.length, this.#at);
    this.#out.set(value, at);
    this.#at = at + value.length;
  }

  #inet(address: Uint8Array): void {
    const at = this.#out.writeInt32BE(4 + address.length, this.#at);
    this.#out[at] = address.length === 4 ? inetFamily4 : inetFamily6;
    this.#out[at + 1] = address.length * 8;
    this.#out[at + 2] = 0;
    this.#out[at + 3] = address.length;
    this.#out.set(address, at + 4);
    this.#at = at + 4 + address.length;
  }

  #null(): void {
    this.#at = this.#out.writeInt32BE(-1, this.#at);
  }

  #nulls(count: number): void {
    for (let i = 0; i < count; i++) this.#null();
  }
}

/**
 * Reads a row of `columns`, in that order. The parts are views of `bytes`.
 * @returns undefined when it has other columns or values that no packet has
 */
export function readRow(bytes: Buffer): LogRow | undefined {
  const read = new RowReader(bytes);
  if (!read.begins(columns.length)) return undefined;
  const sender = read.int(4) ?? 0;
  const session = read.long() ?? 0n;
  const seq = read.long() ?? 0n;
  const sent = (read.long() ?? 0n) + epochShift;
  const receiver = read.int(4);
  const kind = read.int(2) ?? -1;
  const offload = read.bytes();
  const fields = readFields(read);
  const payload = read.bytes();
  if (!read.ended || (fields === undefined && kind < kinds.raw)) return undefined;
  if (fields !== undefined) fields.payload = payload ?? empty;
  return { sender, receiver, session, seq, sent, kind, offload, fields: fields ?? null, payload };
}

/** The number of a row, whatever else is in it: the first columns are never null. @throws RangeError for what is no row */
export function seqOf(bytes: Buffer): bigint {
  return bytes.readBigInt64BE(26);
}

const empty = new Uint8Array(0);

/** The order is that of the columns. */
function readFields(read: RowReader): PacketFields | undefined {
  const version = read.int(2);
  const fields: Omit<PacketFields, "version"> = {
    ihl: read.int(2),
    tos: read.int(2) ?? 0,
    totalLength: read.int(4) ?? 0,
    identification: read.int(4),
    flags: read.int(2),
    fragmentOffset: read.int(2),
    ttl: read.int(2) ?? 0,
    protocol: read.int(2) ?? 0,
    headerChecksum: read.int(4),
    options: read.bytes(),
    source: read.inet(),
    destination: read.inet(),
    flowLabel: read.int(4),
    extensionHeaders: read.bytes(),
    transport: {
      sourcePort: read.int(4),
      destinationPort: read.int(4),
      tcpSequence: read.word(),
      tcpAcknowledgment: read.word(),
      tcpFlags: read.int(2),
      tcpWindow: read.int(4),
      tcpUrgent: read.int(4),
      tcpOptions: read.bytes(),
      udpLength: read.int(4),
      icmpType: read.int(2),
      icmpCode: read.int(2),
      checksum: read.int(4),
    },
    payload: empty,
  };
  return version === 4 || version === 6 ? { version, ...fields } : undefined;
}

/** What is not as it should be makes `ended` false, and gives nulls until then. */
class RowReader {
  readonly #bytes: Buffer;
  #at = 0;
  #good = true;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#good && this.#at === this.#bytes.length;
  }

  begins(count: number): boolean {
    if (this.#bytes.length < 2 || this.#bytes.readInt16BE(0) !== count) return false;
    this.#at = 2;
    return true;
  }

  int(size: 2 | 4): number | null {
    const at = this.#value(size);
    if (at === undefined) return null;
    return size === 2 ? this.#bytes.readInt16BE(at) : this.#bytes.readInt32BE(at);
  }

  long(): bigint | null {
    const at = this.#value(8);
    return at === undefined ? null : this.#bytes.readBigInt64BE(at);
  }

  /** The lower half of a column of 64 bits. */
  word(): number | null {
    const at = this.#value(8);
    return at === undefined ? null : this.#bytes.readUInt32BE(at + 4);
  }

  bytes(): Uint8Array | null {
    const from = this.#value();
    return from === undefined ? null : this.#bytes.subarray(from, this.#at);
  }

  inet(): Uint8Array {
    const from = this.#value();
    return from === undefined ? empty : this.#bytes.subarray(Math.min(from + 4, this.#at), this.#at);
  }

  /** Where the next value begins; undefined: it is null, or none. */
  #value(size?: number): number | undefined {
    const left = this.#bytes.length - this.#at;
    if (!this.#good || left < 4) {
      this.#good = false;
      return undefined;
    }
    const length = this.#bytes.readInt32BE(this.#at);
    this.#at += 4;
    if (length < 0) return undefined;
    if (length > left - 4 || (size !== undefined && length !== size)) {
      this.#good = false;
      return undefined;
    }
    const from = this.#at;
    this.#at += length;
    return from;
  }
}

/** Begins and ends what COPY … FROM STDIN (FORMAT binary) takes. */
export const copyHeader = Buffer.from("5047434f50590aff0d0a000000000000000000", "hex");
export const copyTrailer = Buffer.of(0xff, 0xff);
