import { parse, TomlError } from "smol-toml";

/** Where a value comes from. */
export interface Origin {
  /** File as it was named, or the flag ("--socket"). */
  file: string;
  /** From 1; undefined for a flag. */
  line?: number;
}

export interface Entry {
  path: readonly string[];
  /** A table has the value undefined: its keys are entries of their own. */
  value: unknown;
  origin: Origin;
}

/** A config file that cannot be used, or one line of it. */
export interface Problem {
  origin: Origin;
  /** Never quotes a value: it may be a secret in the wrong place. */
  message: string;
  hint: string;
}

export const formatOrigin = ({ file, line }: Origin): string =>
  line === undefined ? file : `${file}:${line}`;

/** The entries of a TOML file in its order, or what is wrong with its syntax. */
export function readToml(file: string, text: string): { entries: Entry[]; problem?: Problem } {
  const fault = syntaxFault(text);
  if (fault) {
    const problem = { origin: { file, line: fault.line }, message: fault.message, hint: tomlHint };
    return { entries: [], problem };
  }
  const entries: Entry[] = [];
  let table: readonly string[] = [];
  for (const { line, value } of statements(text)) {
    const found: Entry[] = [];
    const header = /^\s*\[/.test(value.text);
    flatten(value.parsed, header ? [] : table, { file, line }, found);
    if (header) table = found.at(-1)?.path ?? [];
    entries.push(...found);
  }
  return { entries };
}

const tomlHint = "config files are TOML: key = value, texts in quotes, sections in brackets";

function syntaxFault(text: string): { line: number; message: string } | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof TomlError)) return { line: 1, message: "it is not TOML" };
    // What follows the first line quotes the file.
    const [first = ""] = error.message.split("\n");
    return { line: error.line, message: first.replace(/^Invalid TOML document: /, "it is not TOML: ") };
  }
}

/** Headers and assignments of a correct document: a statement ends with the first line that makes it whole. */
function* statements(
  text: string,
): Generator<{ line: number; value: { text: string; parsed: Record<string, unknown> } }> {
  const lines = text.split(/\r?\n/);
  let first = 0;
  for (let last = 0; last < lines.length; last++) {
    const chunk = lines.slice(first, last + 1).join("\n");
    const parsed = whole(chunk);
    if (parsed === undefined) continue;
    if (Object.keys(parsed).length > 0) yield { line: first + 1, value: { text: chunk, parsed } };
    first = last + 1;
  }
}

function whole(chunk: string): Record<string, unknown> | undefined {
  try {
    return parse(chunk);
  } catch {
    return undefined;
  }
}

function flatten(value: unknown, path: readonly string[], origin: Origin, into: Entry[]): void {
  if (!isTable(value)) {
    into.push({ path, value, origin });
    return;
  }
  const members = Object.entries(value);
  if (members.length === 0) into.push({ path, value: undefined, origin });
  for (const [name, member] of members) flatten(member, [...path, name], origin, into);
}

/** Dates are objects too, and no tables. */
function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
