import { columns } from "../../../common/postgres/columns.js";
import type { LogPolicy } from "../../../common/postgres/log-policy.js";
import type { WireConnection } from "../../../common/postgres/wire-connection.js";
import type { PacketBatch } from "../../core/packet-port.js";
import { nodeChannel, wakeText } from "../../core/postgres/channels.js";
import type { Nodes } from "../../core/postgres/nodes.js";
import { Outgoing, type RowBatch } from "../../core/postgres/outgoing.js";

export interface LogWriterEvents {
  /** Packets can be taken again. */
  onRoom(): void;
  /** Packets for which there is no node; they are in the log. */
  onUnknown(packets: number): void;
}

export interface LogWriterOptions {
  me: number;
  session: bigint;
  keep: LogPolicy;
  /** Payloads are encrypted with it. */
  key?: Uint8Array;
  /** So many bytes more are in the log. */
  onLogged(bytes: number): void;
  /** Others were told that there is something to read, or could not be. */
  onNotified(error?: unknown): void;
  nodes: Nodes;
  events: LogWriterEvents;
}

/** So many COPYs are under way at most: one that becomes durable, and the next one behind it. */
const mostUnderWay = 2;
/** Parts of vpnd.transit: one is filled, one is read to its end, one is being emptied. */
const slots = 3;
/** So many bytes are collected behind them; what is more waits in the device's queue, which is bounded. */
const mostCollected = 1 << 20;

/**
 * Writes packets into the log. One after the other goes at once; while the database is busy they are collected, so a COPY is as large as
 * it is slow.
 */
export class LogWriter {
  /** Once: nothing can be written any more. */
  onFail: (error: unknown) => void = () => {};
  readonly #connection: WireConnection;
  readonly #options: LogWriterOptions;
  readonly #outgoing: Outgoing;
  #slot = 0;
  readonly #underWay = new Set<{ since: number; done: Promise<void> }>();
  #full = false;
  #failed = false;

  constructor(connection: WireConnection, options: LogWriterOptions) {
    this.#connection = connection;
    this.#options = options;
    const { me: sender, session, keep, key, nodes } = options;
    const nodeAt = (address: Uint8Array) => nodes.at(address);
    this.#outgoing = new Outgoing({ sender, session, keep, nodeAt, ...(key && { key }) });
  }

  /** Age of the oldest COPY that is not done, milliseconds. */
  get oldestMs(): number {
    const [oldest] = this.#underWay;
    return oldest === undefined ? 0 : performance.now() - oldest.since;
  }

  /** The batch is free again afterwards. @returns false: enough, until `onRoom` */
  send(batch: PacketBatch): boolean {
    this.#outgoing.add(batch, micros());
    batch.release();
    this.#flush();
    this.#full = this.#outgoing.length > mostCollected;
    return !this.#full;
  }

  /** Something between nodes, which is no packet. */
  control(receiver: number, message: Uint8Array): void {
    this.#outgoing.control(receiver, message, micros());
    this.#flush();
  }

  /** From here on packets travel in the next part of vpnd.transit. @returns the part that may be emptied */
  turn(): number {
    this.#slot = (this.#slot + 1) % slots;
    return (this.#slot + 1) % slots;
  }

  /** Resolves when all that was sent is done. */
  async flush(): Promise<void> {
    while (this.#underWay.size > 0) await [...this.#underWay][0]?.done;
  }

  #flush(): void {
    if (this.#failed || this.#underWay.size >= mostUnderWay) return;
    const batch = this.#outgoing.take();
    if (batch === undefined) return;
    const copy = { since: performance.now(), done: Promise.resolve() };
    this.#underWay.add(copy);
    copy.done = this.#write(batch).finally(() => {
      this.#underWay.delete(copy);
      this.#flush();
      if (this.#full && !this.#failed) {
        this.#full = false;
        this.#options.events.onRoom();
      }
    });
  }

  /** What fails is not written again: whether it is in the log may not be known, and nothing may be in it twice. */
  async #write(batch: RowBatch): Promise<void> {
    const { receivers, unknown, log } = batch;
    const { session, nodes, events, onLogged, onNotified } = this.#options;
    try {
      const copied = this.#copy(batch);
      // In a transaction of its own behind it: with it in one, all writers of the database would wait for each other.
      const notify = [...receivers.keys()].map(
        (node) => `NOTIFY ${nodeChannel(node)}, '${wakeText(session)}'`,
      );
      if (notify.length > 0) this.#connection.script(notify.join(";")).then(() => onNotified(), onNotified);
      await copied;
      onLogged(log?.length ?? 0);
      this.#outgoing.recycle(batch);
      for (const [node, { bytes, packets }] of receivers) nodes.sent(node, bytes, packets);
      if (unknown > 0) events.onUnknown(unknown);
    } catch (error) {
      this.#failed = true;
      this.onFail(error);
    }
  }

  /** Both in one transaction: a packet that can be read is in the log. */
  async #copy({ log, transit }: RowBatch): Promise<void> {
    const connection = this.#connection;
    const { me } = this.#options;
    const into = (table: string, data: Buffer) =>
      connection.copyIn(`COPY vpnd.${table} (${columns.join(", ")}) FROM STDIN (FORMAT binary)`, data);
    const copies = [
      ...(log === undefined ? [] : [() => into(`packet_${me}`, log)]),
      ...(transit === undefined ? [] : [() => into(`transit_${me}_${this.#slot}`, transit)]),
    ];
    const steps =
      copies.length < 2
        ? copies
        : [() => connection.script("BEGIN"), ...copies, () => connection.script("COMMIT")];
    await Promise.all(steps.map((step) => step()));
  }
}

const micros = (): bigint => BigInt(Date.now()) * 1000n;
