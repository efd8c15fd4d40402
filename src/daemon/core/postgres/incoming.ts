/** Rows of the log that are for this node, as items for the device. */
import { kinds } from "../../../common/postgres/columns.js";
import { offloadBytes, segmentsOf } from "../../../common/postgres/offload.js";
import { addressesOf, putHeaders } from "../../../common/postgres/packet.js";
import { type LogRow, readRow } from "../../../common/postgres/row.js";
import { openPayload, tagBytes } from "../../../common/postgres/seal.js";
import type { Opening } from "./openings.js";

/** Who a row may come from, and who it is for. */
export interface IncomingRules {
  /** The number of this node. */
  me: number;
  /** Whether packets to an address may come here: its own one, or what it carries for others. */
  takes: (destination: Uint8Array) => boolean;
  /** Whether a node may send from an address: its own one, or what it carries for others. */
  maySend: (node: number, source: Uint8Array) => boolean;
  /** Of its session. */
  opening: Opening;
}

export type Refusal =
  | "malformed-row"
  | "foreign-source"
  | "foreign-destination"
  /** Nobody here has the key of its session, or it has none and should. */
  | "wrong-psk"
  /** It does not open with the key of its session. */
  | "altered-row";

/** What became of a row. */
export type Verdict =
  | { kind: "packet"; bytes: number; packets: number }
  | { kind: "control"; message: Uint8Array }
  | { kind: "refused"; reason: Refusal };

const refused = (reason: Refusal): Verdict => ({ kind: "refused", reason });

const mostItem = offloadBytes + 65_536;
const empty = new Uint8Array(0);

/** Collects super-packets in memory that is used again and again. */
export class Incoming {
  readonly #memory: Buffer;
  readonly #ends: number[] = [];
  #at = 0;

  /** @param capacity bytes; more than the largest packet */
  constructor(capacity = 8 * mostItem) {
    this.#memory = Buffer.allocUnsafe(capacity);
  }

  /** There may be no room for another packet. */
  get full(): boolean {
    return this.#memory.length - this.#at < mostItem;
  }

  /** A row of the log; anybody who may write into it may have made it. */
  add(bytes: Buffer, sender: number, rules: IncomingRules): Verdict {
    const row = readRow(bytes);
    if (row === undefined || row.payload === null) return refused("malformed-row");
    if (row.sender !== sender || row.receiver !== rules.me) return refused("malformed-row");
    if (rules.opening.kind === "refused") return refused("wrong-psk");
    const key = rules.opening.kind === "key" ? rules.opening.key : undefined;
    if (row.kind === kinds.control) {
      const message = key === undefined ? row.payload : openPayload(key, row, empty, row.payload);
      return message === undefined ? refused("altered-row") : { kind: "control", message };
    }
    const start = this.#at + offloadBytes;
    const length = this.#place(row, row.payload, start, key);
    if (typeof length !== "number") return refused(length);
    const packet = this.#memory.subarray(start, start + length);
    const addresses = addressesOf(packet);
    if (addresses === undefined) return refused("malformed-row");
    if (!rules.maySend(sender, addresses.source)) return refused("foreign-source");
    if (!rules.takes(addresses.destination)) return refused("foreign-destination");
    const header = this.#memory.subarray(this.#at, start);
    if (row.kind === kinds.super && row.offload?.length === offloadBytes) header.set(row.offload);
    else header.fill(0);
    const packets = row.kind === kinds.super ? segmentsOf(header, row.fields ?? undefined) : 1;
    this.#at = start + length;
    this.#ends.push(this.#at);
    return { kind: "packet", bytes: length, packets };
  }

  /** What was collected, in memory that the next row overwrites; undefined: nothing. */
  take(): { data: Buffer; ends: Uint32Array } | undefined {
    if (this.#ends.length === 0) return undefined;
    const taken = { data: this.#memory.subarray(0, this.#at), ends: Uint32Array.from(this.#ends) };
    this.#at = 0;
    this.#ends.length = 0;
    return taken;
  }

  /** Writes the packet that the row holds. @returns its length, or what is wrong with it */
  #place(row: LogRow, payload: Uint8Array, at: number, key: Uint8Array | undefined): number | Refusal {
    const { fields } = row;
    const size = payload.length - (key === undefined ? 0 : tagBytes);
    if (size < 0) return "malformed-row";
    const headers = fields === null ? 0 : putHeaders(fields, size, this.#memory, at);
    if (headers === undefined || headers + size > this.#memory.length - at) return "malformed-row";
    const front = this.#memory.subarray(at, at + headers);
    const plain = key === undefined ? payload : openPayload(key, row, front, payload);
    if (plain === undefined) return "altered-row";
    this.#memory.set(plain, at + headers);
    if (fields !== null) fields.payload = plain;
    return headers + size;
  }
}
