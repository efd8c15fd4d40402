import { isDeepStrictEqual } from "node:util";
import { dotted } from "./evaluate.js";
import { findKey, type Key, type Reload } from "./keys.js";
import type { Entry } from "./layer.js";

type Entries = ReadonlyMap<string, Entry>;

/** Keys of one kind whose values differ, dotted, sorted. A default that is spelled out is no difference. */
export function changedKeys(keys: readonly Key[], kind: Reload, before: Entries, after: Entries): string[] {
  const paths = new Map([...before.values(), ...after.values()].map(({ path }) => [dotted(path), path]));
  const changed = [...paths].filter(([name, path]) => {
    const key = findKey(keys, path);
    if (key?.kind !== "value" || key.reload !== kind) return false;
    const value = (entries: Entries): unknown => entries.get(name)?.value ?? key.default;
    return !isDeepStrictEqual(value(before), value(after));
  });
  return changed.map(([name]) => name).sort();
}
