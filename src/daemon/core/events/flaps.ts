import type { CarrierEvent } from "../carrier.js";

/** A peer may change so often before its changes are only counted. */
const freely = 10;
/** Within this time, and it begins anew when that is over. */
const spanMs = 300_000;
/** Held changes are told when there was none for this long: then the last one is how it stays. */
const quietMs = 60_000;
const firstWindowMs = 60_000;
const longestWindowMs = 3600_000;
/** Peers told apart; what is beyond shares one budget. */
const maxPeers = 256;

interface Flapping {
  told: number;
  since: number;
  /** The last one that was not told. */
  held: CarrierEvent | undefined;
  count: number;
  heldAt: number;
  windowMs: number;
  until: number;
}

/**
 * Tells of peers that come and go: each change at once and in order, until one has had ten within five minutes. From then on only
 * how often it changed and what it is now, first after a minute, then ever more seldom, and a minute after the last change.
 * Times are monotonic milliseconds.
 */
export class Flaps {
  readonly #peers = new Map<string, Flapping>();

  /** The event if it is to be told now. */
  take(event: CarrierEvent, now: number): CarrierEvent | undefined {
    const flapping = this.#of(event.peer?.virtualIp ?? "", now);
    if (flapping.held === undefined && flapping.told < freely) {
      flapping.told += 1;
      return event;
    }
    if (flapping.held === undefined) flapping.until = now + flapping.windowMs;
    flapping.held = event;
    flapping.heldAt = now;
    flapping.count += 1;
    return undefined;
  }

  /** What was held until now and is to be told. */
  due(now: number): CarrierEvent[] {
    const events: CarrierEvent[] = [];
    for (const [key, flapping] of this.#peers) {
      if (flapping.held === undefined) {
        if (now >= flapping.since + spanMs) this.#peers.delete(key);
        continue;
      }
      if (now < dueAt(flapping)) continue;
      events.push(...summary(flapping));
      if (now >= flapping.heldAt + quietMs) {
        this.#peers.delete(key);
        continue;
      }
      flapping.held = undefined;
      flapping.count = 0;
      flapping.since = now;
      flapping.windowMs = Math.min(flapping.windowMs * 2, longestWindowMs);
    }
    return events;
  }

  /** When to call `due`. */
  wakeAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const flapping of this.#peers.values()) {
      if (flapping.held !== undefined) at = Math.min(at, dueAt(flapping));
    }
    return at;
  }

  /** All that is held, at the end. */
  rest(): CarrierEvent[] {
    const events = [...this.#peers.values()].flatMap(summary);
    this.#peers.clear();
    return events;
  }

  #of(peer: string, now: number): Flapping {
    const known = this.#peers.get(peer);
    const key = known === undefined && this.#peers.size >= maxPeers ? "others" : peer;
    const flapping = known ?? this.#peers.get(key);
    if (flapping !== undefined && (flapping.held !== undefined || now < flapping.since + spanMs))
      return flapping;
    const fresh: Flapping = {
      told: 0,
      since: now,
      held: undefined,
      count: 0,
      heldAt: 0,
      windowMs: firstWindowMs,
      until: 0,
    };
    this.#peers.set(key, fresh);
    return fresh;
  }
}

const dueAt = ({ until, heldAt }: Flapping): number => Math.min(until, heldAt + quietMs);

function summary({ held, count }: Flapping): CarrierEvent[] {
  if (held === undefined) return [];
  if (count === 1) return [held];
  return [{ ...held, repeats: count, message: `${held.message} (the last of ${count} changes)` }];
}
