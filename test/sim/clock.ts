/** Virtual time and seeded randomness: a run depends on its seed alone. */
import type { Moment } from "../../src/daemon/core/mesh/types.js";

interface Task {
  at: number;
  order: number;
  run: () => void;
}

/** Events happen in the order of their times; time passes only between them. */
export class Clock {
  now = 0;
  #order = 0;
  #tasks: Task[] = [];

  /** Differs from `now`, so that nobody mixes the two up. */
  moment(): Moment {
    return { now: this.now, wall: 1_700_000_000_000 + this.now };
  }

  /** Runs it after whole milliseconds, rounded up. Returns what cancels it. */
  after(ms: number, run: () => void): () => void {
    const task = { at: this.now + Math.max(0, Math.ceil(ms)), order: this.#order++, run };
    let low = 0;
    let high = this.#tasks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#tasks[middle];
      if (other !== undefined && other.at <= task.at) low = middle + 1;
      else high = middle;
    }
    this.#tasks.splice(low, 0, task);
    return () => {
      const at = this.#tasks.indexOf(task);
      if (at >= 0) this.#tasks.splice(at, 1);
    };
  }

  run(ms: number): void {
    this.runUntil(() => false, ms);
  }

  /** Runs until the condition holds; false if it did not within the time. */
  runUntil(condition: () => boolean, ms: number): boolean {
    const end = this.now + ms;
    while (!condition()) {
      const next = this.#tasks[0];
      if (next === undefined || next.at > end) {
        this.now = end;
        return condition();
      }
      this.#tasks.shift();
      this.now = next.at;
      next.run();
    }
    return true;
  }
}

/** 0 <= x < 1, the same sequence for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return () => {
    // xorshift32; good enough to shuffle a test.
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
