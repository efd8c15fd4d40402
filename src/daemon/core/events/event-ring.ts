import type { NetworkEvent } from "./event.js";

export interface EventQuery {
  /** Empty: all. */
  network: string;
  /** Only events of then or later, milliseconds since 1970. */
  since?: number;
  /** The newest so many; 0: all. */
  limit: number;
}

/** The latest events, oldest first; a bounded number of them. */
export class EventRing {
  readonly #size: number;
  #events: NetworkEvent[] = [];

  constructor(size = 4096) {
    this.#size = size;
  }

  add(event: NetworkEvent): void {
    this.#events.push(event);
    // Cut in steps, so that an event does not move all the others.
    if (this.#events.length > this.#size * 1.25) this.#events = this.#events.slice(-this.#size);
  }

  select({ limit, ...query }: EventQuery): NetworkEvent[] {
    const found = this.#events.filter((event) => matches(event, query));
    return limit === 0 ? found : found.slice(-limit);
  }
}

export function matches(event: NetworkEvent, { network, since }: Omit<EventQuery, "limit">): boolean {
  return (network === "" || event.network === network) && (since === undefined || event.at >= since);
}
