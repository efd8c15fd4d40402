const mostForOne = 16;
const mostForAll = 64;

/** Keeps those who may not change anything from using up the connections of those who may. */
export class ReaderLimit {
  readonly #byUser = new Map<number, number>();
  #all = 0;

  /** @returns whether this user may have one more connection; then `leave` is to be called at its end */
  enter(uid: number): boolean {
    const own = this.#byUser.get(uid) ?? 0;
    if (own >= mostForOne || this.#all >= mostForAll) return false;
    this.#byUser.set(uid, own + 1);
    this.#all += 1;
    return true;
  }

  leave(uid: number): void {
    const own = this.#byUser.get(uid) ?? 0;
    if (own > 1) this.#byUser.set(uid, own - 1);
    else this.#byUser.delete(uid);
    this.#all -= 1;
  }
}
