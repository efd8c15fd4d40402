/** Whether this node hears by NOTIFY that there is something to read; while it does not, it looks for itself. */
import { setTimeout as delay } from "node:timers/promises";
import { DatabaseError } from "../../../common/postgres/wire-connection.js";

/** How often is read when nothing is notified. */
const pollMs = 50;
/** What NOTIFY is refused with while the queue of notifications is full. */
const queueFull = "54000";

export class Wakes {
  readonly #read: () => void;
  readonly #over: AbortSignal;
  #polls = false;
  #full = false;

  /** @param read reads whatever there is @param over nothing is read any more */
  constructor(read: () => void, over: AbortSignal) {
    this.#read = read;
    this.#over = over;
  }

  /** A notification came. */
  heard(): void {
    this.#polls = false;
  }

  /** Something was there, and no notification came. */
  unheard(): void {
    if (this.#polls) return;
    this.#polls = true;
    void this.#poll();
  }

  /** A NOTIFY of this node was taken, or refused. The queue is that of the whole server: where nobody can notify, nobody is heard. */
  notified(error?: unknown): void {
    this.#full = error instanceof DatabaseError && error.refusal.code === queueFull;
    if (this.#full) this.unheard();
  }

  /** The queue took nothing when it was tried last. */
  get full(): boolean {
    return this.#full;
  }

  /** For people; undefined: all is well. */
  get note(): string | undefined {
    const result = "packets are looked for 20 times a second";
    if (this.#full) return `the database's queue of notifications is full: ${result}`;
    return this.#polls ? `no notifications come from the database: ${result}` : undefined;
  }

  async #poll(): Promise<void> {
    while (this.#polls && !this.#over.aborted) {
      this.#read();
      await delay(pollMs, undefined, { ref: false });
    }
  }
}
