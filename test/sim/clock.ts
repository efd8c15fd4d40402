/** Virtual time and seeded randomness: a run depends on its seed alone. */
import type { Moment } from "../../src/daemon/core/mesh/types.js";

interface Task {
  at: number;
  order: number;
  run: (() => void) | undefined;
}

/** Events happen in the order of their times, those of one time in the order in which they were asked for. */
export class Clock {
  now = 0;
  #order = 0;
  /** A binary heap; cancelled tasks stay in it until their time, or until they are the most. */
  #tasks: Task[] = [];
  #pending = 0;

  /** Differs from `now`, so that nobody mixes the two up. */
  moment(): Moment {
    return { now: this.now, wall: 1_700_000_000_000 + this.now };
  }

  /** Tasks that are still to run. */
  get pending(): number {
    return this.#pending;
  }

  /** Runs it after whole milliseconds, rounded up. Returns what cancels it. */
  after(ms: number, run: () => void): () => void {
    const task: Task = { at: this.now + Math.max(0, Math.ceil(ms)), order: this.#order++, run };
    this.#pending += 1;
    this.#insert(task);
    return () => {
      if (task.run === undefined) return;
      task.run = undefined;
      this.#pending -= 1;
      if (this.#tasks.length > 2 * this.#pending + 1000) this.#compact();
    };
  }

  run(ms: number): void {
    this.runUntil(() => false, ms);
  }

  /** Runs until the condition holds; false if it did not within the time. */
  runUntil(condition: () => boolean, ms: number): boolean {
    const end = this.now + ms;
    while (!condition()) {
      const next = this.#next(end);
      if (next === undefined) {
        this.now = end;
        return condition();
      }
      this.now = next.at;
      const { run } = next;
      next.run = undefined;
      this.#pending -= 1;
      run?.();
    }
    return true;
  }

  /** Takes out the first task that is neither cancelled nor later than this. */
  #next(end: number): Task | undefined {
    for (;;) {
      const first = this.#tasks[0];
      if (first === undefined || first.at > end) return undefined;
      this.#removeFirst();
      if (first.run !== undefined) return first;
    }
  }

  /** Timers that are set an hour ahead and anew with each input would else pile up for an hour. */
  #compact(): void {
    this.#tasks = this.#tasks.filter((task) => task.run !== undefined);
    this.#tasks.sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  #insert(task: Task): void {
    const heap = this.#tasks;
    let place = heap.push(task) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, task)) break;
      heap[place] = parent;
      place = above;
    }
    heap[place] = task;
  }

  #removeFirst(): void {
    const heap = this.#tasks;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      let child = heap[below];
      if (child === undefined) break;
      const other = heap[below + 1];
      if (other !== undefined && isBefore(other, child)) {
        child = other;
        below += 1;
      }
      if (isBefore(last, child)) break;
      heap[place] = child;
      place = below;
    }
    heap[place] = last;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.at !== b.at ? a.at < b.at : a.order < b.order;
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
