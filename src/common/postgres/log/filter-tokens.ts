/** A word of a filter; `at` counts characters from 0. */
export interface Token {
  /** In lower case; "&&", "||" and "!" are "and", "or" and "not". */
  text: string;
  at: number;
}

const meanings: ReadonlyMap<string, string> = new Map([
  ["&&", "and"],
  ["||", "or"],
  ["!", "not"],
]);

/** Words end at white space, parentheses and the signs for and, or, not; whatever else they hold is the parser's business. */
export function tokens(text: string): Token[] {
  return [...text.matchAll(/&&|\|\||[!()]|[^\s!()&|]+|[&|]/g)].map(({ 0: word, index }) => ({
    text: meanings.get(word) ?? word.toLowerCase(),
    at: index,
  }));
}
