import type { z } from "zod";
import { VpnError } from "../errors.js";
import { findKey, type Key, keysOf } from "./keys.js";
import { type Entry, formatOrigin, type Origin, type Problem } from "./layer.js";
import { nearest } from "./nearest.js";

/** What files and flags come to. */
export interface Evaluated<T> {
  /** Undefined if there are problems. */
  value: T | undefined;
  problems: Problem[];
  /** By dotted path: what is in force and where it is set; a key that is not in it has its default. */
  entries: ReadonlyMap<string, Entry>;
}

/**
 * Checks entries against a schema and puts them together; of two for one key the later counts.
 * @param pages where a user finds all keys
 */
export function evaluate<S extends z.ZodType>(
  schema: S,
  entries: readonly Entry[],
  pages: string,
): Evaluated<z.output<S>> {
  const keys = keysOf(schema);
  const problems: Problem[] = [];
  const merged = new Map<string, Entry>();
  for (const entry of entries) {
    const problem = misplaced(keys, entry, pages);
    if (problem) problems.push(problem);
    else if (entry.value !== undefined || !merged.has(dotted(entry.path)))
      merged.set(dotted(entry.path), entry);
  }
  // What is missing or wrong beside an unknown key is often the same mistake.
  if (problems.length > 0) return { value: undefined, problems, entries: merged };
  const result = schema.safeParse(tree(merged.values()));
  if (result.success) return { value: result.data, problems, entries: merged };
  for (const issue of result.error.issues) problems.push(readIssue(issue, merged));
  return { value: undefined, problems, entries: merged };
}

/** Where a key or the section around it is set first. */
export function originOf(entries: ReadonlyMap<string, Entry>, path: readonly string[]): Origin {
  const exact = entries.get(dotted(path));
  if (exact) return exact.origin;
  for (const entry of entries.values()) {
    if (path.every((part, index) => entry.path[index] === part)) return entry.origin;
  }
  return path.length > 1 ? originOf(entries, path.slice(0, -1)) : { file: "default" };
}

/** One error of all problems: the first, and how many more there are. */
export function configError(problems: readonly [Problem, ...Problem[]], program: string): VpnError {
  const [first, ...more] = problems;
  const all = more.length === 0 ? "" : `; ${more.length} more: ${program} --check-config`;
  return new VpnError("usage", formatProblem(first), { hint: first.hint + all });
}

export const formatProblem = ({ origin, message }: Problem): string => `${formatOrigin(origin)}: ${message}`;

/** A path as TOML writes it. */
export function dotted(path: readonly string[]): string {
  return path.map((part) => (/^[\w-]+$/.test(part) ? part : JSON.stringify(part))).join(".");
}

function misplaced(keys: readonly Key[], { path, value, origin }: Entry, pages: string): Problem | undefined {
  const shown = shorten(dotted(path));
  const key = findKey(keys, path);
  if (path.includes("__proto__")) {
    return { origin, message: `unknown key ${shown}`, hint: `all keys: ${pages}` };
  }
  if (key?.kind === "value" && value === undefined) {
    return { origin, message: `${shown} is a value, not a section`, hint: `write: ${path.at(-1)} = …` };
  }
  if (key?.kind === "value" || (key && value === undefined)) return undefined;
  const isTable = key !== undefined || keys.some((one) => startsWith(one.path, path));
  if (isTable && value === undefined) return undefined;
  if (isTable) {
    return { origin, message: `${shown} is a section, not a value`, hint: `write it as: [${shown}]` };
  }
  const holder = path.findIndex((_, index) => findKey(keys, path.slice(0, index + 1))?.kind === "value");
  if (holder >= 0) {
    const name = dotted(path.slice(0, holder + 1));
    return { origin, message: `${name} is a value, not a section`, hint: `write: ${path[holder]} = …` };
  }
  return unknown(keys, path, origin, pages);
}

function unknown(keys: readonly Key[], path: readonly string[], origin: Origin, pages: string): Problem {
  const message = `unknown key ${shorten(dotted(path))}`;
  if (path.at(-1) === "psk") {
    const hint = "keys are kept out of config files: write it to a file of its own and name that as psk_file";
    return { origin, message, hint };
  }
  const meant = suggestion(keys, path);
  return { origin, message, hint: meant === undefined ? `all keys: ${pages}` : `did you mean ${meant}?` };
}

/** The sibling with the most similar name, or else the key of that name in another section. */
function suggestion(keys: readonly Key[], path: readonly string[]): string | undefined {
  for (let length = 1; length <= path.length; length++) {
    const part = path[length - 1] ?? "";
    const siblings = keys.filter(
      (key) => key.path.length >= length && startsWith(key.path, path.slice(0, length - 1)),
    );
    const names = [...new Set(siblings.map((key) => key.path[length - 1] ?? ""))];
    if (names.includes(part) || names.includes("*")) continue;
    const near = nearest(part, names);
    if (near !== undefined) return dotted([...path.slice(0, length - 1), near]);
    return keys
      .map((key) => key.path)
      .find((one) => !one.includes("*") && one.at(-1) === path.at(-1))
      ?.join(".");
  }
  return undefined;
}

function startsWith(path: readonly string[], start: readonly string[]): boolean {
  return start.every((part, index) => path[index] === part || path[index] === "*");
}

/** A section while it is put together. */
type Tree = Map<string, unknown>;

function tree(entries: Iterable<Entry>): unknown {
  const root: Tree = new Map();
  for (const { path, value } of entries) {
    let at = root;
    for (const part of value === undefined ? path : path.slice(0, -1)) {
      const there = at.get(part);
      const next: Tree = there instanceof Map ? there : new Map();
      at.set(part, next);
      at = next;
    }
    if (value !== undefined) at.set(path.at(-1) ?? "", value);
  }
  return plain(root);
}

function plain(value: unknown): unknown {
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value].map(([name, member]) => [name, plain(member)]));
}

function readIssue(issue: z.core.$ZodIssue, entries: ReadonlyMap<string, Entry>): Problem {
  const path = issue.path.map(String);
  const origin = originOf(entries, path);
  const name = shorten(dotted(path));
  const there =
    entries.has(dotted(path)) || [...entries.values()].some((entry) => startsWith(entry.path, path));
  if (!there) {
    const section = dotted(path.slice(0, -1));
    return {
      origin,
      message: `[${section}] lacks ${path.at(-1)}`,
      hint: `add to [${section}]: ${path.at(-1)} = …`,
    };
  }
  return {
    origin,
    message: `${name} ${requirement(issue)}`,
    hint: "see what is meant in the commented example",
  };
}

const typeWords: Record<string, string> = {
  string: 'a text in quotes: "…"',
  boolean: "true or false",
  int: "a whole number",
  number: "a number",
  array: 'a list: ["…"]',
  object: "a section",
  record: "a section",
};

function requirement(issue: z.core.$ZodIssue): string {
  // The schema's own words say more than what is made of the library's.
  if (!/^(Invalid|Too) /.test(issue.message)) return issue.message;
  switch (issue.code) {
    case "invalid_type":
      return `must be ${typeWords[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "too_small":
      return issue.origin === "number" || issue.origin === "int"
        ? `must be at least ${issue.minimum}`
        : issue.message;
    case "too_big":
      return `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 79)}…` : text);
