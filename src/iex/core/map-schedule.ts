/**
 * When the map goes out: every `periodMs` while there are nodes, and at once when it changed, but never so often that
 * changes alone make more traffic than `changeBytesPerSecond`. Without this bound somebody who changes his virtual IP with
 * every datagram would make the server send the whole map to everybody each time.
 */
export interface MapTiming {
  periodMs: number;
  /** Least time between two maps that changes cause, however small they are. */
  minChangeGapMs: number;
  changeBytesPerSecond: number;
}

export type MapCause = "period" | "change";

export class MapSchedule {
  readonly #timing: MapTiming;
  #periodAt: number | undefined;
  #changed = false;
  #changeFrom = Number.NEGATIVE_INFINITY;

  constructor(timing: MapTiming) {
    this.#timing = timing;
  }

  /** The map is another than the one last sent. */
  change(): void {
    this.#changed = true;
  }

  /** When the next map is due; undefined: none is. */
  get nextAt(): number | undefined {
    if (!this.#changed) return this.#periodAt;
    return Math.min(this.#changeFrom, this.#periodAt ?? Number.POSITIVE_INFINITY);
  }

  /** Why a map is due now, if it is. */
  due(now: number): MapCause | undefined {
    if (this.#periodAt !== undefined && now >= this.#periodAt) return "period";
    return this.#changed && now >= this.#changeFrom ? "change" : undefined;
  }

  /** A map went to all nodes. @param bytes of all its datagrams together */
  sent(now: number, bytes: number): void {
    const { periodMs, minChangeGapMs, changeBytesPerSecond } = this.#timing;
    this.#changed = false;
    this.#changeFrom = now + Math.max(minChangeGapMs, (bytes / changeBytesPerSecond) * 1000);
    // The beat is kept whatever changes in between; beats missed by a stopped process are not made up for.
    if (this.#periodAt === undefined || now >= this.#periodAt) this.#periodAt = now + periodMs;
  }

  /** The last node is gone. */
  idle(): void {
    this.#changed = false;
    this.#periodAt = undefined;
  }
}
