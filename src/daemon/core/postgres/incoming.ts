/** Rows of the log that are for this node, as items for the device. */
import { kinds } from "../../../common/postgres/columns.js";
import { offloadBytes, segmentsOf } from "../../../common/postgres/offload.js";
import { addressesOf, putTogether } from "../../../common/postgres/packet.js";
import { readRow } from "../../../common/postgres/row.js";

/** Who a row may come from, and who it is for. */
export interface IncomingRules {
  /** The number of this node, and its address. */
  me: number;
  own: Uint8Array;
  /** The address of another node. */
  addressOf: (node: number) => Uint8Array | undefined;
}

/** What became of a row. */
export type Verdict =
  | { kind: "packet"; bytes: number; packets: number }
  | { kind: "control"; message: Uint8Array }
  | { kind: "refused"; reason: "malformed-row" | "foreign-source" | "foreign-destination" };

const refused = (reason: "malformed-row" | "foreign-source" | "foreign-destination"): Verdict => ({
  kind: "refused",
  reason,
});

const mostItem = offloadBytes + 65_536;
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

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
    if (row === undefined) return refused("malformed-row");
    if (row.sender !== sender || row.receiver !== rules.me) return refused("malformed-row");
    if (row.kind === kinds.control) return { kind: "control", message: row.payload };
    const start = this.#at + offloadBytes;
    const length =
      row.fields === null ? this.#whole(row.payload, start) : putTogether(row.fields, this.#memory, start);
    if (length === undefined) return refused("malformed-row");
    const packet = this.#memory.subarray(start, start + length);
    const addresses = addressesOf(packet);
    const from = rules.addressOf(sender);
    if (addresses === undefined) return refused("malformed-row");
    if (from === undefined || !equal(addresses.source, from)) return refused("foreign-source");
    if (!equal(addresses.destination, rules.own)) return refused("foreign-destination");
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

  #whole(payload: Uint8Array, at: number): number | undefined {
    if (payload.length > this.#memory.length - at || payload.length === 0) return undefined;
    this.#memory.set(payload, at);
    return payload.length;
  }
}
