/** Tells watchers that something changed; changes in quick succession are told once. */
export class ChangeFeed {
  readonly #listeners = new Set<() => void>();

  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /**
   * Yields at once, then after each change (at most every `gapMs`) and at least every `intervalMs` (0: only at changes),
   * until the signal aborts.
   */
  async *ticks(signal: AbortSignal, intervalMs: number, gapMs = 100): AsyncGenerator<void> {
    let pending = false;
    let wake = (): void => {};
    const listener = (): void => {
      pending = true;
      wake();
    };
    this.#listeners.add(listener);
    const abort = (): void => wake();
    signal.addEventListener("abort", abort);
    const pause = (ms: number, until: () => boolean): Promise<void> =>
      new Promise((resolve) => {
        let timer: NodeJS.Timeout | undefined;
        const end = (): void => {
          clearTimeout(timer);
          wake = () => {};
          resolve();
        };
        if (until()) return resolve();
        if (ms > 0) timer = setTimeout(end, ms);
        wake = () => {
          if (until()) end();
        };
      });
    try {
      while (!signal.aborted) {
        pending = false;
        yield;
        await pause(gapMs, () => signal.aborted);
        await pause(intervalMs === 0 ? 0 : Math.max(1, intervalMs - gapMs), () => pending || signal.aborted);
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", abort);
    }
  }
}
