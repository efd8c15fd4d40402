/** One client of a gateway while it is connected: what its device has goes to it, and what it sends into its device. */

import type { Reason } from "../../core/carrier.js";
import { Allowance } from "../../core/gateway/allowance.js";
import type { ClientBatch, PortHub } from "../../core/gateway/hub.js";
import type { Channel, ChannelEvents } from "../../io/gateway/channel.js";

export interface SessionOptions {
  /** Of the hub. */
  id: number;
  /** Bytes a second each way; absent: as fast as it goes. */
  rate?: number;
  hub: PortHub;
  /** Makes its channel, which tells it of what comes. */
  channel: (events: ChannelEvents) => Channel;
  onEnd: (reason: Reason) => void;
}

export class Session {
  readonly channel: Channel;
  readonly #id: number;
  readonly #hub: PortHub;
  /** Why its device is not read now. */
  readonly #held = new Set<"socket" | "rate">();
  readonly #down: Allowance | undefined;
  readonly #up: Allowance | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  #over = false;

  constructor({ id, rate, hub, channel, onEnd }: SessionOptions) {
    this.#id = id;
    this.#hub = hub;
    if (rate !== undefined) {
      this.#down = new Allowance(rate, performance.now());
      this.#up = new Allowance(rate, performance.now());
    }
    this.channel = channel({
      onItems: (items, data, ends) => {
        if (this.#over) return;
        hub.write(id, data, ends, items);
        this.#afterTaking(data.length);
      },
      onControl: () => {},
      onDrain: () => this.#letGo("socket"),
      onEnd: (reason) => {
        this.#finish();
        onEnd(reason);
      },
    });
  }

  /** Says hello, now or so many milliseconds later; from then on its device is read. */
  start(hello: Buffer, afterMs: number): void {
    const greet = (): void => {
      this.channel.sendMessages([hello]);
      this.#hub.setMode(this.#id, "read");
    };
    if (afterMs > 0) this.#later(afterMs, greet);
    else greet();
  }

  /** A batch of its device. */
  send(batch: ClientBatch): void {
    if (this.#over) {
      batch.release();
      return;
    }
    const bytes = batch.data.length;
    if (!this.channel.send(batch)) this.#hold("socket");
    const wait = this.#down?.spend(bytes, performance.now()) ?? 0;
    if (wait === 0) return;
    this.#hold("rate");
    this.#later(wait, () => this.#letGo("rate"));
  }

  /** Ends it without `onEnd`. @param code of the close @param text for the other end */
  close(code: number, text: string): void {
    this.#finish();
    this.channel.close(code, text);
  }

  #afterTaking(bytes: number): void {
    const wait = this.#up?.spend(bytes, performance.now()) ?? 0;
    if (wait === 0) return;
    this.channel.pause();
    this.#later(wait, () => this.channel.resume());
  }

  #hold(why: "socket" | "rate"): void {
    this.#held.add(why);
    this.#hub.setMode(this.#id, "pause");
  }

  #letGo(why: "socket" | "rate"): void {
    if (!this.#held.delete(why) || this.#held.size > 0 || this.#over) return;
    this.#hub.setMode(this.#id, "read");
  }

  #later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    timer.unref();
    this.#timers.add(timer);
  }

  #finish(): void {
    this.#over = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
