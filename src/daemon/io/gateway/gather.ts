/** Items of messages that came in one piece go on together: a protocol of one packet a message costs the device no more than a batch. */
import type { CodecSink, GatewayItems } from "../../../common/gateway/codec.js";

export class Gather implements CodecSink {
  readonly #sink: CodecSink;
  #items: GatewayItems = "packets";
  #parts: Uint8Array[] = [];
  #ends: number[] = [];
  #bytes = 0;

  constructor(sink: CodecSink) {
    this.#sink = sink;
  }

  onItems(items: GatewayItems, data: Uint8Array, ends: Uint32Array): void {
    if (items !== this.#items) this.#flush();
    this.#items = items;
    // What one read of the socket brought is taken apart before this runs.
    if (this.#parts.length === 0) queueMicrotask(() => this.#flush());
    for (const end of ends) this.#ends.push(this.#bytes + end);
    this.#parts.push(data);
    this.#bytes += data.length;
  }

  onControl(message: Uint8Array): void {
    this.#flush();
    this.#sink.onControl(message);
  }

  #flush(): void {
    if (this.#parts.length === 0) return;
    const [first] = this.#parts;
    const data = this.#parts.length === 1 && first !== undefined ? first : Buffer.concat(this.#parts);
    const ends = Uint32Array.from(this.#ends);
    this.#parts = [];
    this.#ends = [];
    this.#bytes = 0;
    this.#sink.onItems(this.#items, data, ends);
  }
}
