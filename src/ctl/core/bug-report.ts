import { redact, redactDocument } from "./redact.js";
import type { TarEntry } from "./tar.js";

export interface Removal {
  file: string;
  what: string;
  count: number;
}

export interface Gap {
  file: string;
  reason: string;
}

const folder = "vpnd-bug-report";

const introduction = `A report on vpnd, made by "vpnctl bug-report". It was written to a file and sent nowhere.

Taken out: keys, passwords and tokens, fingerprints of keys, and whatever looks like a key. removed.txt lists where.
Left in: addresses, names of nodes and networks, node keys (they are public), routes, and the log. Read it before you pass it on.
`;

/** Collects the parts of a bug report; everything that goes in is redacted on the way. */
export class BugReport {
  readonly removed: Removal[] = [];
  readonly gaps: Gap[] = [];
  readonly #entries: TarEntry[] = [];

  /** A text that people or programs wrote: a config, a log, the output of a command. */
  addText(file: string, raw: string): void {
    const { text, removed } = redact(raw);
    for (const [what, count] of Object.entries(removed)) this.removed.push({ file, what, count });
    this.#add(file, text);
  }

  /** An answer of vpnd's. */
  addDocuments(file: string, documents: readonly unknown[]): void {
    const parts = documents.map(redactDocument);
    const count = parts.reduce((sum, part) => sum + part.removed, 0);
    if (count > 0) this.removed.push({ file, what: "fingerprint of a key", count });
    this.#add(file, parts.map(({ value }) => `${JSON.stringify(value, undefined, 2)}\n`).join(""));
  }

  addGap(file: string, reason: string): void {
    this.gaps.push({ file, reason: redact(reason).text });
  }

  /** Names of the files so far. */
  names(): string[] {
    return this.#entries.map(({ name }) => name);
  }

  /** All files, with those that describe the report itself. */
  entries(): TarEntry[] {
    const removed = this.removed.map(({ file, what, count }) => `${file}: ${what}, ${count} times\n`);
    const gaps = this.gaps.map(({ file, reason }) => `${file}: ${reason}\n`);
    return [
      entry("README.txt", introduction),
      entry("removed.txt", removed.join("") || "nothing\n"),
      entry("missing.txt", gaps.join("") || "nothing\n"),
      ...this.#entries,
    ];
  }

  #add(file: string, text: string): void {
    this.#entries.push(entry(file, text));
  }
}

function entry(file: string, text: string): TarEntry {
  return { name: `${folder}/${file}`, data: Buffer.from(text) };
}
