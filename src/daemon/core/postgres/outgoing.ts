/** What comes out of the device, as rows of the log. */
import { kinds } from "../../../common/postgres/columns.js";
import type { LogPolicy } from "../../../common/postgres/log-policy.js";
import { offloadBytes, segmentsOf } from "../../../common/postgres/offload.js";
import { addressesOf, takeApart } from "../../../common/postgres/packet.js";
import { copyHeader, copyTrailer, type LogRow, RowWriter } from "../../../common/postgres/row.js";
import { sealPayload } from "../../../common/postgres/seal.js";
import type { PacketBatch } from "../packet-port.js";

/** The rows of one transaction; what is in `log` and `transit` is all that COPY … FROM STDIN (FORMAT binary) takes. */
export interface RowBatch {
  /** For vpnd.packet. Absent: nothing. */
  log?: Buffer;
  /** For vpnd.transit. Absent: nothing. */
  transit?: Buffer;
  /** Nodes that have something to read. */
  receivers: Map<number, { bytes: number; packets: number }>;
  /** Packets for nobody. */
  unknown: number;
  /** What they lie in: to be given back by `recycle`. */
  memory: readonly Buffer[];
}

export interface OutgoingOptions {
  /** Number of this node. */
  sender: number;
  session: bigint;
  nodeAt: (address: Uint8Array) => { id: number } | undefined;
  /** Unless all payloads are kept, packets travel in vpnd.transit. */
  keep: LogPolicy;
  /** Payloads are encrypted with it. */
  key?: Uint8Array;
}

/** As many as are under way and being filled, so that a flow of packets allocates nothing. */
const mostSpare = 6;
const firstMemory = 384 << 10;
const nothing = new Uint8Array(0);

type RowPart = Pick<LogRow, "kind" | "offload" | "fields"> & { payload: Uint8Array };

/** Numbers packets and collects their rows until they are taken. */
export class Outgoing {
  readonly #options: OutgoingOptions;
  #seq = 0n;
  /** Packets so far, for the choice of every Nth one. */
  #packets = 0;
  #log: RowWriter | undefined;
  #transit: RowWriter | undefined;
  #unknown = 0;
  #receivers: RowBatch["receivers"] = new Map();
  readonly #spare: Buffer[] = [];

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Bytes that were collected. */
  get length(): number {
    return (this.#log?.length ?? 0) + (this.#transit?.length ?? 0);
  }

  /** @param batch of super-packets; it is not needed any more afterwards @param now microseconds since 1970 */
  add(batch: Pick<PacketBatch, "data" | "ends">, now: bigint): void {
    const { buffer, byteOffset, byteLength } = batch.data;
    const data = Buffer.from(buffer, byteOffset, byteLength);
    let from = 0;
    for (const end of batch.ends) {
      this.#packet(data.subarray(from, end), now);
      from = end;
    }
  }

  /** Something between nodes. */
  control(receiver: number, message: Uint8Array, now: bigint): void {
    const row = { kind: kinds.control, offload: null, fields: null, payload: message };
    this.#put(receiver, row, nothing, now);
    this.#count(receiver, 0, 0);
  }

  /** Undefined: nothing was collected. */
  take(): RowBatch | undefined {
    const [log, transit] = [this.#log, this.#transit];
    if (log === undefined && transit === undefined) return undefined;
    log?.raw(copyTrailer);
    transit?.raw(copyTrailer);
    const batch = {
      ...(log && { log: log.take() }),
      ...(transit && { transit: transit.take() }),
      memory: [log, transit].flatMap((writer) => (writer === undefined ? [] : [writer.memory])),
      receivers: this.#receivers,
      unknown: this.#unknown,
    };
    this.#log = undefined;
    this.#transit = undefined;
    this.#unknown = 0;
    this.#receivers = new Map();
    return batch;
  }

  /** Nobody needs the batch any more. */
  recycle({ memory }: RowBatch): void {
    for (const one of memory) if (this.#spare.length < mostSpare) this.#spare.push(one);
  }

  #open(): RowWriter {
    const writer = new RowWriter(this.#spare.pop() ?? Buffer.allocUnsafe(firstMemory));
    writer.raw(copyHeader);
    return writer;
  }

  #packet(item: Buffer, now: bigint): void {
    const packet = item.subarray(offloadBytes);
    const splits = (item[1] ?? 0) !== 0;
    const fields = takeApart(packet);
    const addresses = addressesOf(packet);
    const receiver = addresses === undefined ? undefined : this.#options.nodeAt(addresses.destination)?.id;
    const packets = splits ? segmentsOf(item, fields) : 1;
    if (receiver === undefined) this.#unknown += packets;
    else this.#count(receiver, packet.length, packets);
    if (fields === undefined) {
      const row = { kind: kinds.raw, offload: null, fields: null, payload: packet };
      this.#put(receiver ?? null, row, nothing, now);
      return;
    }
    const { payload } = fields;
    const kind = splits ? kinds.super : kinds.packet;
    const offload = splits ? item.subarray(0, offloadBytes) : null;
    const headers = packet.subarray(0, packet.length - payload.length);
    this.#put(receiver ?? null, { kind, offload, fields, payload }, headers, now);
  }

  #put(receiver: number | null, part: RowPart, headers: Uint8Array, sent: bigint): void {
    const { sender, session, keep, key } = this.#options;
    this.#seq += 1n;
    const row = { sender, session, seq: this.#seq, receiver, sent, ...part };
    if (key !== undefined) row.payload = sealPayload(key, row, headers, part.payload);
    if (keep === 1) {
      this.#log ??= this.#open();
      this.#log.row(row);
      return;
    }
    if (receiver !== null) {
      this.#transit ??= this.#open();
      this.#transit.row(row);
    }
    if (part.kind === kinds.control) return;
    const kept = keep !== 0 && this.#packets % keep === 0;
    this.#packets += 1;
    this.#log ??= this.#open();
    this.#log.row(kept ? row : { ...row, payload: null });
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
