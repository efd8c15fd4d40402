import type { CarrierEvent } from "../carrier.js";

const firstWindowMs = 60_000;
const longestWindowMs = 3600_000;
/** Kinds told apart; what is beyond is told apart by its reason only. */
const maxKinds = 32;

interface Kind {
  /** The last one that was not told. */
  last: CarrierEvent | undefined;
  count: number;
  windowMs: number;
  until: number;
}

/**
 * Tells of what strangers can cause at will: the first of a kind at once, of those that follow only how many there were, first
 * after a minute, then after twice as long each time, until there were none. Times are monotonic milliseconds.
 */
export class Repeats {
  readonly #kinds = new Map<string, Kind>();

  /** The event if it is to be told now. */
  take(event: CarrierEvent, now: number): CarrierEvent | undefined {
    const known = this.#kinds.get(kindOf(event, event.peer?.virtualIp));
    const key = kindOf(
      event,
      known === undefined && this.#kinds.size >= maxKinds ? "others" : event.peer?.virtualIp,
    );
    const kind = known ?? this.#kinds.get(key);
    if (kind === undefined) {
      this.#kinds.set(key, {
        last: undefined,
        count: 0,
        windowMs: firstWindowMs,
        until: now + firstWindowMs,
      });
      return event;
    }
    kind.last = event;
    kind.count += 1;
    return undefined;
  }

  /** What was only counted until now and is to be told. */
  due(now: number): CarrierEvent[] {
    const events: CarrierEvent[] = [];
    for (const [key, kind] of this.#kinds) {
      if (now < kind.until) continue;
      if (kind.last === undefined) {
        this.#kinds.delete(key);
        continue;
      }
      const { last, count, windowMs } = kind;
      const times = count === 1 ? "once more" : `${count} times more`;
      const message = `${last.message} (${times} within ${windowMs / 60_000} min)`;
      events.push({ ...last, repeats: count, message });
      kind.last = undefined;
      kind.count = 0;
      kind.windowMs = Math.min(windowMs * 2, longestWindowMs);
      kind.until = now + kind.windowMs;
    }
    return events;
  }

  /** When to call `due`. */
  wakeAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const kind of this.#kinds.values()) at = Math.min(at, kind.until);
    return at;
  }
}

/** Not by endpoint, which strangers choose. */
function kindOf({ type, reason }: CarrierEvent, whom: string | undefined): string {
  return `${type} ${reason?.code ?? ""} ${whom ?? ""}`;
}
