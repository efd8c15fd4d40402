/** What comes out of the device, as rows of the log. */
import { kinds } from "../../../common/postgres/columns.js";
import { offloadBytes, segmentsOf } from "../../../common/postgres/offload.js";
import { addressesOf, takeApart } from "../../../common/postgres/packet.js";
import { copyHeader, copyTrailer, type LogRow, RowWriter } from "../../../common/postgres/row.js";
import type { PacketBatch } from "../packet-port.js";

/** What the rows of one COPY hold, to be told when it is done. */
export interface RowBatch {
  /** All that COPY … FROM STDIN (FORMAT binary) takes. */
  data: Buffer;
  rows: number;
  /** Nodes that have something to read. */
  receivers: Map<number, { bytes: number; packets: number }>;
  /** Packets for nobody. */
  unknown: number;
  /** What `data` lies in: to be given back by `recycle`. */
  memory: Buffer;
}

/** As many as are under way and being filled, so that a flow of packets allocates nothing. */
const mostSpare = 3;
const firstMemory = 384 << 10;

/** Numbers packets and collects their rows until they are taken. */
export class Outgoing {
  readonly #sender: number;
  readonly #session: bigint;
  readonly #nodeAt: (address: Uint8Array) => { id: number } | undefined;
  #seq = 0n;
  #writer: RowWriter | undefined;
  #rows = 0;
  #unknown = 0;
  #receivers: RowBatch["receivers"] = new Map();
  readonly #spare: Buffer[] = [];

  constructor(sender: number, session: bigint, nodeAt: (address: Uint8Array) => { id: number } | undefined) {
    this.#sender = sender;
    this.#session = session;
    this.#nodeAt = nodeAt;
  }

  /** Bytes that were collected. */
  get length(): number {
    return this.#writer?.length ?? 0;
  }

  /** @param batch of super-packets; it is not needed any more afterwards @param now microseconds since 1970 */
  add(batch: Pick<PacketBatch, "data" | "ends">, now: bigint): void {
    const { buffer, byteOffset, byteLength } = batch.data;
    const data = Buffer.from(buffer, byteOffset, byteLength);
    const writer = this.#open();
    let from = 0;
    for (const end of batch.ends) {
      this.#packet(writer, data.subarray(from, end), now);
      from = end;
    }
  }

  /** Something between nodes. */
  control(receiver: number, message: Uint8Array, now: bigint): void {
    const row = { kind: kinds.control, offload: null, fields: null, payload: message };
    this.#put(this.#open(), receiver, row, now);
    this.#count(receiver, 0, 0);
  }

  /** Undefined: nothing was collected. */
  take(): RowBatch | undefined {
    const writer = this.#writer;
    if (writer === undefined) return undefined;
    writer.raw(copyTrailer);
    const batch = {
      data: writer.take(),
      memory: writer.memory,
      rows: this.#rows,
      receivers: this.#receivers,
      unknown: this.#unknown,
    };
    this.#writer = undefined;
    this.#rows = 0;
    this.#unknown = 0;
    this.#receivers = new Map();
    return batch;
  }

  /** Nobody needs the batch any more. */
  recycle({ memory }: RowBatch): void {
    if (this.#spare.length < mostSpare) this.#spare.push(memory);
  }

  #open(): RowWriter {
    if (this.#writer === undefined) {
      this.#writer = new RowWriter(this.#spare.pop() ?? Buffer.allocUnsafe(firstMemory));
      this.#writer.raw(copyHeader);
    }
    return this.#writer;
  }

  #packet(writer: RowWriter, item: Buffer, now: bigint): void {
    const packet = item.subarray(offloadBytes);
    const splits = (item[1] ?? 0) !== 0;
    const fields = takeApart(packet);
    const addresses = addressesOf(packet);
    const receiver = addresses === undefined ? undefined : this.#nodeAt(addresses.destination)?.id;
    const packets = splits ? segmentsOf(item, fields) : 1;
    if (receiver === undefined) this.#unknown += packets;
    else this.#count(receiver, packet.length, packets);
    if (fields === undefined) {
      this.#put(
        writer,
        receiver ?? null,
        { kind: kinds.raw, offload: null, fields: null, payload: packet },
        now,
      );
      return;
    }
    const kind = splits ? kinds.super : kinds.packet;
    const offload = splits ? item.subarray(0, offloadBytes) : null;
    this.#put(writer, receiver ?? null, { kind, offload, fields, payload: fields.payload }, now);
  }

  #put(
    writer: RowWriter,
    receiver: number | null,
    row: Pick<LogRow, "kind" | "offload" | "fields" | "payload">,
    sent: bigint,
  ): void {
    this.#seq += 1n;
    this.#rows += 1;
    writer.row({ sender: this.#sender, session: this.#session, seq: this.#seq, receiver, sent, ...row });
  }

  #count(receiver: number, bytes: number, packets: number): void {
    const sum = this.#receivers.get(receiver);
    if (sum === undefined) this.#receivers.set(receiver, { bytes, packets });
    else {
      sum.bytes += bytes;
      sum.packets += packets;
    }
  }
}
