/** Who has which slot of a gateway. Times are milliseconds of any clock that does not jump. */
import type { Resumed } from "./resume-token.js";

interface Lease {
  user: string;
  nonce: string;
  /** Its client may come back to it. */
  kept: boolean;
  /** The session that has it; absent: its client is away. */
  session?: number;
  /** Until then it is kept for a client that is away. */
  until?: number;
}

export interface Taken {
  slot: number;
  nonce: string;
  /** The session that had it until now: the same client's, whose end has not been noticed. */
  replaced?: number;
  resumed: boolean;
}

export class Leases {
  readonly #limit: number;
  readonly #keepMs: number;
  readonly #leases = new Map<number, Lease>();

  /** @param limit of slots @param keepMs how long a slot is kept for a client that is away */
  constructor(limit: number, keepMs: number) {
    this.#limit = limit;
    this.#keepMs = keepMs;
  }

  /** Slots that are taken or kept. */
  get used(): number {
    return this.#leases.size;
  }

  /**
   * @param wanted what its token says
   * @param nonce a new one
   * @param kept the client may come back to it
   * @returns undefined: there is no room
   */
  take(
    user: string,
    session: number,
    wanted: Resumed | undefined,
    nonce: string,
    kept = true,
  ): Taken | undefined {
    if (wanted !== undefined && wanted.slot < this.#limit) {
      const lease = this.#leases.get(wanted.slot);
      // One that nobody has is as good as kept: its token outlived a restart.
      if (lease === undefined || (lease.nonce === wanted.nonce && lease.user === user)) {
        this.#leases.set(wanted.slot, { user, nonce: wanted.nonce, kept, session });
        const replaced = lease?.session;
        return { ...wanted, resumed: true, ...(replaced !== undefined && { replaced }) };
      }
    }
    const slot = this.#lowestFree() ?? this.#oldestAway();
    if (slot === undefined) return undefined;
    this.#leases.set(slot, { user, nonce, kept, session });
    return { slot, nonce, resumed: false };
  }

  /** The session is over; its slot is kept for a while, unless another session has it by now, or nobody comes back for it. */
  release(slot: number, session: number, now: number): void {
    const lease = this.#leases.get(slot);
    if (lease?.session !== session) return;
    delete lease.session;
    lease.until = lease.kept ? now + this.#keepMs : now;
  }

  /** Whether somebody has the slot, or it is kept for somebody. */
  isTaken(slot: number): boolean {
    return this.#leases.has(slot);
  }

  /** The slots that nobody came back for; they are free from now on. */
  expire(now: number): number[] {
    const over = [...this.#leases].filter(([, { until }]) => until !== undefined && until <= now);
    for (const [slot] of over) this.#leases.delete(slot);
    return over.map(([slot]) => slot);
  }

  /** The slot that the session had, and has or is kept for it still, is free from now on. */
  drop(slot: number, session: number): void {
    const holder = this.#leases.get(slot)?.session;
    if (holder === undefined || holder === session) this.#leases.delete(slot);
  }

  #lowestFree(): number | undefined {
    if (this.#leases.size >= this.#limit) return undefined;
    for (let slot = 0; slot < this.#limit; slot++) if (!this.#leases.has(slot)) return slot;
    return undefined;
  }

  /** Who is here goes before who may come back; of these, one of the user with the most slots gives way, lest one drive out all others. */
  #oldestAway(): number | undefined {
    const counts = new Map<string, number>();
    for (const { user } of this.#leases.values()) counts.set(user, (counts.get(user) ?? 0) + 1);
    let found: { slot: number; until: number; count: number } | undefined;
    for (const [slot, { user, until }] of this.#leases) {
      const count = counts.get(user) ?? 0;
      if (until === undefined) continue;
      if (found === undefined || count > found.count || (count === found.count && until < found.until))
        found = { slot, until, count };
    }
    return found?.slot;
  }
}
