/** The known name that is most like the given one; undefined if none is likely to be meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const typed = plain(name);
  // Longer ones cost time and resemble nothing.
  if (typed.length > 64) return undefined;
  let best: { name: string; distance: number } | undefined;
  for (const one of known) {
    const distance = editDistance(typed, plain(one));
    if (best === undefined || distance < best.distance) best = { name: one, distance };
  }
  return best !== undefined && best.distance <= Math.max(2, typed.length / 3) ? best.name : undefined;
}

/** `listenPort`, `listen-port` and `Listen_Port` are the same to a person. */
const plain = (name: string): string => name.toLowerCase().replace(/[-_]/g, "");

/** Insertions, deletions and replacements that turn one into the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replace = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replace));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
