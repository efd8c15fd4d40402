import type { Logger } from "pino";
import type { NetworkEvent } from "../core/events/event.js";
import { type EventQuery, EventRing, matches } from "../core/events/event-ring.js";
import { EventTracker } from "../core/events/tracker.js";
import type { EventFile } from "../io/events/event-file.js";
import { stateOf } from "./api/convert.js";
import type { Network } from "./network.js";
import type { Networks } from "./networks.js";

/** Most that a watcher which does not read may have waiting. */
const maxWaiting = 1000;

/** Looks at the networks whenever something changed, and keeps what happened: in memory for answers, on disk for later. */
export class EventJournal {
  /** Events since the start, by type. */
  readonly counts: Record<NetworkEvent["type"], number> = { up: 0, down: 0, path: 0, key: 0, error: 0 };
  readonly #networks: Networks;
  readonly #file: EventFile;
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #ring = new EventRing();
  readonly #tracker = new EventTracker();
  readonly #stopping = new AbortController();
  readonly #watchers = new Set<(event: NetworkEvent) => void>();
  #following: Promise<void> | undefined;
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

  /** Reads what is on disk and follows the networks from then on. */
  async start(): Promise<void> {
    for (const event of await this.#file.load()) this.#ring.add(event);
    this.#following = this.#follow().catch((error: unknown) => {
      this.#log.error({ err: error }, "events are not followed any more");
    });
  }

  /** Takes a last look, so that the end is told too. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
    this.#look();
    await this.#file.flush();
  }

  /** Adds an event that can't be told from looking at the networks. */
  record(event: Omit<NetworkEvent, "at">): void {
    this.#add({ at: this.#now(), ...event });
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

  async #follow(): Promise<void> {
    for await (const _ of this.#networks.feed.ticks(this.#stopping.signal, 0)) this.#look();
  }

  #look(): void {
    const snapshots = this.#networks.all().map((network) => snapshotOf(network));
    for (const event of this.#tracker.compare(snapshots, this.#now())) this.#add(event);
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

function snapshotOf(network: Network) {
  const { state, reason } = stateOf(network);
  return {
    name: network.name,
    state,
    fingerprint: network.fingerprint,
    peers: network.carrier?.view().peers ?? [],
    ...(reason === undefined ? {} : { reason }),
  };
}
