/** A rate limit by making wait: what was sent may exceed it for a moment, and is waited for afterwards. */
export class Allowance {
  readonly #bytesPerSecond: number;
  readonly #most: number;
  #left: number;
  #at: number;

  /** @param now milliseconds of a clock that does not jump */
  constructor(bytesPerSecond: number, now: number) {
    this.#bytesPerSecond = bytesPerSecond;
    // A tenth of a second's worth, and no less than a batch's beginning.
    this.#most = Math.max(bytesPerSecond / 10, 3000);
    this.#left = this.#most;
    this.#at = now;
  }

  /** @returns milliseconds until more may be sent; 0: at once */
  spend(bytes: number, now: number): number {
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) / 1000) * this.#bytesPerSecond) - bytes;
    this.#at = now;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left / this.#bytesPerSecond) * 1000);
  }
}
