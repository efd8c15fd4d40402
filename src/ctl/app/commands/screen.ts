import type { Output } from "../context.js";

const clear = "\u001b[2J\u001b[H";
const home = "\u001b[H";
const eraseLine = "\u001b[K";
const eraseBelow = "\u001b[J";

/** Successive pictures: redrawn in place on a terminal, one after the other elsewhere. */
export class Screen {
  readonly #out: Output;
  readonly #redraws: boolean;
  #started = false;

  /** @param redraw false: never moves the cursor, not even on a terminal */
  constructor(out: Output, redraw = true) {
    this.#out = out;
    this.#redraws = redraw && out.interactive;
  }

  get redraws(): boolean {
    return this.#redraws;
  }

  show(picture: string): void {
    if (!this.#redraws) {
      this.#out.write(picture);
      return;
    }
    // Erasing line by line does not flicker as clearing the whole screen would.
    const drawn = picture.replaceAll("\n", `${eraseLine}\n`);
    this.#out.write(`${this.#started ? home : clear}${drawn}${eraseBelow}`);
    this.#started = true;
  }
}
