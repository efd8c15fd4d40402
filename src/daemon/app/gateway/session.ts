/** One client of a gateway while it is connected: what its device has goes to it, and what it sends into its device. */

import type { Reason } from "../../core/carrier.js";
import { Allowance } from "../../core/gateway/allowance.js";
import type { ClientBatch, PortHub } from "../../core/gateway/hub.js";
import type { Channel, ChannelEvents } from "../../io/gateway/channel.js";

export interface SessionOptions {
  /** Of the hub. */
  id: number;
  slot: number;
  nonce: string;
  /** Empty: it came without a token. */
  user: string;
  /** What it calls itself; empty: nothing. */
  name: string;
  remote: string;
  /** Milliseconds since 1970. */
  since: number;
  /** Bytes a second each way; absent: as fast as it goes. */
  rate?: number;
  hub: PortHub;
  /** Makes its channel, which tells it of what comes. */
  channel: (events: ChannelEvents) => Channel;
  onEnd: (session: Session, reason: Reason) => void;
}

export class Session {
  readonly about: Omit<SessionOptions, "hub" | "channel" | "onEnd">;
  readonly channel: Channel;
  readonly #hub: PortHub;
  /** Why its device is not read now. */
  readonly #held = new Set<"socket" | "rate">();
  readonly #down: Allowance | undefined;
  readonly #up: Allowance | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  #over = false;

  constructor({ hub, channel, onEnd, ...about }: SessionOptions) {
    this.about = about;
    this.#hub = hub;
    if (about.rate !== undefined) {
      this.#down = new Allowance(about.rate, performance.now());
      this.#up = new Allowance(about.rate, performance.now());
    }
    this.channel = channel({
      onItems: (items, data, ends) => {
        if (this.#over) return;
        hub.write(about.id, data, ends, items);
        this.#afterTaking(data.length);
      },
      onControl: () => {},
      onDrain: () => this.#letGo("socket"),
      onEnd: (reason) => {
        this.#finish();
        onEnd(this, reason);
      },
    });
  }

  /** From now on its device is read. */
  start(): void {
    this.#hub.setMode(this.about.id, "read");
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
    this.#hub.setMode(this.about.id, "pause");
  }

  #letGo(why: "socket" | "rate"): void {
    if (!this.#held.delete(why) || this.#held.size > 0 || this.#over) return;
    this.#hub.setMode(this.about.id, "read");
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
