/**
 * The PSKs that a node accepts: one that it prefers, and those before it until their grace period ends.
 *
 * The end of a grace period is kept as wall-clock time, since only that outlives a restart; while the daemon runs a monotonic
 * clock decides, so that a clock that is put right neither ends nor prolongs it. A clock that was put back before a restart
 * can't make it longer than it was asked for.
 */
import { VpnError } from "../../../common/errors.js";
import type { EpochId } from "../engine.js";

/** `now`: monotonic milliseconds; `wall`: milliseconds since 1970. */
export interface PskMoment {
  now: number;
  wall: number;
}

export interface PskEpoch {
  id: EpochId;
  psk: Uint8Array;
  /** Since when it was or is preferred, milliseconds since 1970. */
  since: number;
  /** When it stops being accepted, milliseconds since 1970; absent for the preferred one. */
  until?: number;
}

/** As it is kept on disk. */
export interface FormerPsk {
  psk: Uint8Array;
  since: number;
  until: number;
  /** What was asked for, the most that can be left of it. */
  graceMs: number;
}

interface Former {
  id: EpochId;
  psk: Uint8Array;
  since: number;
  /** Monotonic. */
  endsAt: number;
  graceMs: number;
}

/** The most PSKs at a time: each is tried on what strangers send. */
export const maxPsks = 4;

export interface StoredPsks {
  psk: Uint8Array;
  since: number;
  former: readonly FormerPsk[];
}

/** Immutable: a change gives another ring, so that it can be written before it is used. */
export class PskRing {
  readonly #preferred: PskEpoch;
  readonly #former: readonly Former[];
  readonly #lastId: EpochId;

  private constructor(preferred: PskEpoch, former: readonly Former[], lastId: EpochId) {
    this.#preferred = preferred;
    this.#former = former;
    this.#lastId = lastId;
  }

  static load(stored: StoredPsks, at: PskMoment): PskRing {
    const former = stored.former.map(({ psk, since, until, graceMs }, index) => {
      const left = Math.min(Math.max(until - at.wall, 0), graceMs);
      return { id: index + 2, psk, since, endsAt: at.now + left, graceMs };
    });
    return new PskRing({ id: 1, psk: stored.psk, since: stored.since }, former, former.length + 1);
  }

  /** The preferred one first. */
  epochs(at: PskMoment): PskEpoch[] {
    const former = this.#former.map(({ id, psk, since, endsAt }) => {
      return { id, psk, since, until: at.wall + (endsAt - at.now) };
    });
    return [this.#preferred, ...former];
  }

  get preferred(): PskEpoch {
    return this.#preferred;
  }

  /**
   * Prefers another PSK; the ones before it stay accepted for `graceMs` at most. With the one that is preferred already this
   * only shortens what is left to the others.
   * @throws VpnError `failed` when too many would be accepted
   */
  prefer(psk: Uint8Array, graceMs: number, at: PskMoment): PskRing {
    const shortened = this.#former.map((one) => ({ ...one, endsAt: Math.min(one.endsAt, at.now + graceMs) }));
    const same = (one: { psk: Uint8Array }): boolean => Buffer.compare(one.psk, psk) === 0;
    if (same(this.#preferred)) return new PskRing(this.#preferred, shortened, this.#lastId).expire(at);
    const { id, psk: old, since } = this.#preferred;
    const before = { id, psk: old, since, endsAt: at.now + graceMs, graceMs };
    // Going back to a former one: sessions under it stay what they are.
    const known = this.#former.find(same);
    const lastId = known === undefined ? this.#lastId + 1 : this.#lastId;
    const preferred = { id: known?.id ?? lastId, psk, since: at.wall };
    const former = [before, ...shortened.filter((one) => !same(one))];
    const ring = new PskRing(preferred, former, lastId).expire(at);
    if (ring.#former.length < maxPsks) return ring;
    throw new VpnError("failed", `${maxPsks} PSKs are accepted already`, {
      hint: "see: vpnctl psk status; --grace 0 gives up all former ones at once",
    });
  }

  /** Without those whose grace period is over; itself when there is none. */
  expire(at: PskMoment): PskRing {
    const left = this.#former.filter((one) => one.endsAt > at.now);
    return left.length === this.#former.length ? this : new PskRing(this.#preferred, left, this.#lastId);
  }

  /** When the next grace period ends, monotonic milliseconds. */
  get nextEnd(): number | undefined {
    return this.#former.length === 0 ? undefined : Math.min(...this.#former.map((one) => one.endsAt));
  }

  stored(at: PskMoment): StoredPsks {
    const former = this.#former.map(({ psk, since, endsAt, graceMs }) => {
      return { psk, since, until: Math.round(at.wall + (endsAt - at.now)), graceMs };
    });
    return { psk: this.#preferred.psk, since: this.#preferred.since, former };
  }
}
