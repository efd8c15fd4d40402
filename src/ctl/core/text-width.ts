import { eastAsianWidth } from "get-east-asian-width";

const ascii = /^[ -~]*$/;
/** Marks that a letter carries, and what joins or directs letters. */
const zeroWidth = /^[\p{Nonspacing_Mark}\p{Enclosing_Mark}\p{Default_Ignorable_Code_Point}\p{Format}]$/u;
const emoji = /\p{Emoji_Presentation}|\p{Emoji}\ufe0f/u;
let graphemes: Intl.Segmenter | undefined;

/** Columns of a terminal that printable text takes: two for a wide letter or an emoji, none for what combines with another. */
export function textWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  // Made at need: with its tables it takes as long as all the rest of a short command.
  graphemes ??= new Intl.Segmenter();
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

function graphemeWidth(grapheme: string): number {
  if (emoji.test(grapheme)) return 2;
  const visible = [...grapheme].filter((character) => !zeroWidth.test(character));
  // What else is in a grapheme stands on its base, but for the narrow sound marks of katakana.
  return visible.reduce(
    (width, character, at) =>
      at === 0 || /[\uff9e\uff9f]/.test(character) ? width + ownWidth(character) : width,
    0,
  );
}

function ownWidth(character: string): number {
  return eastAsianWidth(character.codePointAt(0) ?? 0);
}
