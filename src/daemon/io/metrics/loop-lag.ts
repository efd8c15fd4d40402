import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

const resolutionMs = 100;
const windowMs = 30_000;

/** How late timers of the main thread come, over the last half to one minute. */
export class LoopLag {
  readonly #timer: NodeJS.Timeout;
  #current = begin();
  #before: IntervalHistogram | undefined;

  constructor() {
    this.#timer = setInterval(() => this.#turn(), windowMs);
    this.#timer.unref();
  }

  /** Seconds. @param percentile 0 to 100 */
  at(percentile: number): number {
    const values = [this.#before, this.#current].map((one) =>
      one === undefined ? 0 : one.percentile(percentile),
    );
    // The histogram holds the time between two ticks.
    return Math.max(0, Math.max(...values) / 1e9 - resolutionMs / 1e3);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#current.disable();
  }

  #turn(): void {
    this.#current.disable();
    this.#before = this.#current;
    this.#current = begin();
  }
}

function begin(): IntervalHistogram {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return histogram;
}
