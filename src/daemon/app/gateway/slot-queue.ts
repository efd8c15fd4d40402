/** Work on slots of a gateway, for each slot one piece after the other. */
export class SlotQueue {
  readonly #last = new Map<number, Promise<void>>();

  /** Does it at once where nothing else is at work. @param slots that it concerns */
  run<T>(slots: readonly number[], work: () => Promise<T>): Promise<T> {
    const before = slots.flatMap((slot) => this.#last.get(slot) ?? []);
    const result = before.length === 0 ? work() : Promise.all(before).then(work);
    const over = result.then(
      () => {},
      () => {},
    );
    for (const slot of slots) this.#last.set(slot, over);
    void over.then(() => {
      for (const slot of slots) if (this.#last.get(slot) === over) this.#last.delete(slot);
    });
    return result;
  }
}
