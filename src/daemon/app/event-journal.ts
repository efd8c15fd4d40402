import type { Logger } from "pino";
import type { NetworkEvent } from "../core/events/event.js";
import { type EventQuery, EventRing, matches } from "../core/events/event-ring.js";
import type { EventFile } from "../io/events/event-file.js";
import type { Networks } from "./networks.js";

/** Most that a watcher which does not read may have waiting. */
const maxWaiting = 1000;

/** Keeps what happens to the networks: in memory for answers, on disk for later. */
export class EventJournal {
  /** Events since the start, by type. */
  readonly counts: Record<NetworkEvent["type"], number> = { up: 0, down: 0, path: 0, key: 0, error: 0 };
  readonly #networks: Networks;
  readonly #file: EventFile;
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #ring = new EventRing();
  readonly #watchers = new Set<(event: NetworkEvent) => void>();
  #complained = false;

  constructor(networks: Networks, file: EventFile, now: () => number, log: Logger) {
    this.#networks = networks;
    this.#file = file;
    this.#now = now;
    this.#log = log;
  }

  /** Events that did not reach the disk. */
  get lost(): number {
    return this.#file.failures;
  }

  /** Reads what is on disk and takes what the networks tell from then on. */
  async start(): Promise<void> {
    for (const event of await this.#file.load()) this.#ring.add(event);
    this.#networks.onEvent = (network, event) => this.#add({ at: this.#now(), network, ...event });
  }

  /** Never rejects. */
  async stop(): Promise<void> {
    this.#networks.onEvent = () => {};
    await this.#file.flush();
  }

  list(query: EventQuery): NetworkEvent[] {
    return this.#ring.select(query);
  }

  /** Past events in one piece, then new ones as they come, until the signal aborts. */
  async *watch(query: EventQuery, signal: AbortSignal): AsyncGenerator<NetworkEvent[]> {
    let waiting: NetworkEvent[] = [];
    let wake = (): void => {};
    const watcher = (event: NetworkEvent): void => {
      if (!matches(event, query)) return;
      if (waiting.length >= maxWaiting) waiting.shift();
      waiting.push(event);
      wake();
    };
    const abort = (): void => wake();
    this.#watchers.add(watcher);
    signal.addEventListener("abort", abort);
    try {
      yield this.list(query);
      while (!signal.aborted) {
        if (waiting.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        const events = waiting;
        waiting = [];
        yield events;
      }
    } finally {
      this.#watchers.delete(watcher);
      signal.removeEventListener("abort", abort);
    }
  }

  #add(event: NetworkEvent): void {
    this.counts[event.type] += 1;
    this.#ring.add(event);
    this.#file.append(event);
    for (const watcher of [...this.#watchers]) watcher(event);
    this.#complain();
  }

  /** Says once that the disk takes nothing, and once that it does again. */
  #complain(): void {
    const { trouble } = this.#file;
    if ((trouble !== undefined) === this.#complained) return;
    this.#complained = trouble !== undefined;
    if (trouble === undefined) this.#log.info("events are written to disk again");
    else this.#log.error({ code: trouble }, "events cannot be written to disk; they are kept in memory");
  }
}
