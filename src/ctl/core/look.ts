/** How text may look where it goes. */
export interface Look {
  /** Width of the terminal; undefined in a pipe or file, where nothing is cut. */
  readonly columns: number | undefined;
  readonly colour: boolean;
}

export const plain: Look = { columns: undefined, colour: false };

const esc = "\u001b";
const colours: Readonly<Record<string, number>> = {
  up: 32,
  connecting: 33,
  idle: 33,
  offline: 31,
  refused: 31,
  error: 31,
  down: 31,
};

/** A state word in the colour of its meaning; any other text as it is. */
export function stateColour(text: string, padded: string): string {
  const colour = colours[text];
  return colour === undefined ? padded : padded.replace(text, `${esc}[${colour}m${text}${esc}[0m`);
}
