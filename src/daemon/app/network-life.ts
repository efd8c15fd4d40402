import type { Carrier, Reason } from "../core/carrier.js";

/**
 * Where a network is in its life. `starting` has pieces that nobody else may use yet; `error` has none, and tries again
 * when its timer fires; only `running` has a carrier.
 */
export type Life =
  | { state: "down" }
  | { state: "starting" }
  | { state: "running"; carrier: Carrier; stopped: AbortController }
  | { state: "error"; reason: Reason; retry?: NodeJS.Timeout };

const firstRetryMs = 10_000;
const lastRetryMs = 300_000;

/** The life of one network, and when it tries again. */
export class NetworkLife {
  readonly #now: () => number;
  readonly #onChange: () => void;
  #life: Life = { state: "down" };
  #since: number;
  #retryMs = firstRetryMs;

  /** @param now milliseconds since 1970 */
  constructor(now: () => number, onChange: () => void) {
    this.#now = now;
    this.#onChange = onChange;
    this.#since = now();
  }

  get current(): Life {
    return this.#life;
  }

  /** Milliseconds since 1970 of the last change of state. */
  get since(): number {
    return this.#since;
  }

  get carrier(): Carrier | undefined {
    return this.#life.state === "running" ? this.#life.carrier : undefined;
  }

  enter(life: Life): void {
    if (this.#life.state === "error") clearTimeout(this.#life.retry);
    if (this.#life.state !== life.state) this.#since = this.#now();
    this.#life = life;
    this.#onChange();
  }

  /**
   * Shows why it does not work.
   * @param again is called when it is time to try again, each time later; `due` tells whether that still is so
   * @returns milliseconds until then
   */
  failed(reason: Reason, again: (due: () => boolean) => void): number {
    const wait = this.#retryMs;
    this.#retryMs = Math.min(wait * 2, lastRetryMs);
    const due = (): boolean => this.#life.state === "error" && this.#life.retry === retry;
    const retry = setTimeout(() => again(due), wait);
    retry.unref();
    this.enter({ state: "error", reason, retry });
    return wait;
  }

  /** It works: after the next failure it is tried again soon. */
  worked(): void {
    this.#retryMs = firstRetryMs;
  }
}
