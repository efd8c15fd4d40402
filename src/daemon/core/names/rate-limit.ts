/** How many questions of each asker are answered: what goes beyond is dropped unread. */

interface Bucket {
  tokens: number;
  /** Milliseconds. */
  at: number;
}

export interface RateLimitOptions {
  /** Questions a second of one asker, in the long run. */
  perSecond: number;
  /** At once. */
  burst: number;
  /** Askers that are kept apart; the one that was silent longest is forgotten. */
  askers: number;
}

export class RateLimit {
  readonly #options: RateLimitOptions;
  /** The one heard last is last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Whether the asker may have one more. @param now milliseconds, not decreasing */
  take(asker: string, now: number): boolean {
    const { perSecond, burst, askers } = this.#options;
    const before = this.#buckets.get(asker) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, before.tokens + ((now - before.at) * perSecond) / 1000);
    this.#buckets.delete(asker);
    this.#buckets.set(asker, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > askers) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    return tokens >= 1;
  }
}
