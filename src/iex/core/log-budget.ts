/** Keeps strangers from filling the disk: so many lines of a kind in a window of time, the others are only counted. */
export class LogBudget<Kind extends string> {
  readonly #lines: number;
  readonly #windowMs: number;
  readonly #kinds = new Map<Kind, { since: number; used: number; suppressed: number }>();

  constructor(lines: number, windowMs: number) {
    this.#lines = lines;
    this.#windowMs = windowMs;
  }

  /** May this line be written? If so, with how many of its kind left out before it. */
  ask(kind: Kind, now: number): { suppressed: number } | undefined {
    const state = this.#kinds.get(kind);
    if (state === undefined || now - state.since >= this.#windowMs) {
      this.#kinds.set(kind, { since: now, used: 1, suppressed: 0 });
      return { suppressed: state?.suppressed ?? 0 };
    }
    if (state.used < this.#lines) {
      state.used++;
      return { suppressed: 0 };
    }
    state.suppressed++;
    return undefined;
  }
}
