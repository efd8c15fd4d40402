import { stringify } from "smol-toml";
import { dotted } from "./evaluate.js";
import type { Key } from "./keys.js";
import { type Entry, formatOrigin } from "./layer.js";

/** Column at which origins begin, where values leave room. */
const originColumn = 44;

/**
 * What is in force, as TOML, with where each value comes from behind it. Config files hold names of secret files, and never
 * secrets, so neither does this.
 */
export function showConfig(keys: readonly Key[], entries: ReadonlyMap<string, Entry>): string {
  const lines: string[] = [];
  let section = "";
  for (const key of concrete(keys, [...entries.values()])) {
    const table = dotted(key.path.slice(0, -1));
    if (table !== section) lines.push("", `[${table}]`);
    section = table;
    lines.push(line(key, entries.get(dotted(key.path))));
  }
  return `${lines.join("\n")}\n`;
}

/** All values; where users choose names, those of each name, in the order of the files. */
function concrete(keys: readonly Key[], entries: readonly Entry[]): Key[] {
  const found: Key[] = [];
  const done = new Set<string>();
  for (const key of keys) {
    const star = key.path.indexOf("*");
    if (star < 0 && key.kind === "value") found.push(key);
    if (star < 0) continue;
    const table = key.path.slice(0, star);
    if (done.has(dotted(table))) continue;
    done.add(dotted(table));
    const inside = entries.filter((one) => table.every((part, index) => one.path[index] === part));
    for (const name of new Set(inside.map((one) => one.path[star]))) {
      if (name === undefined) continue;
      const members = keys.filter(
        (one) => one.kind === "value" && dotted(one.path.slice(0, star + 1)) === dotted([...table, "*"]),
      );
      found.push(...members.map((one) => ({ ...one, path: [...table, name, ...one.path.slice(star + 1)] })));
    }
  }
  return found;
}

function line(key: Key, entry: Entry | undefined): string {
  const name = key.path.at(-1) ?? "";
  const value = entry?.value ?? key.default;
  if (value === undefined) return `# ${name} is not set`;
  const set = stringify({ [name]: value }).trimEnd();
  return `${set.padEnd(originColumn)} # ${entry ? formatOrigin(entry.origin) : "default"}`;
}
