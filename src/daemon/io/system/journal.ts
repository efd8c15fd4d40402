import { readFile, readlink, rename } from "node:fs/promises";
import type { Step } from "../../core/system/items.js";
import { errorCode, removeFile, writeFileAtomic } from "../atomic-file.js";

/** One change to the machine. `done` false: it may or may not have happened. */
export interface JournalEntry {
  owner: string;
  step: Step;
  done: boolean;
}

/** Where the kernel's state that a journal speaks of lives. */
export interface Place {
  /** Changes at each boot: then nothing of the journal is left. */
  bootId: string;
  /** "net:[INODE]" of the network namespace. */
  netns: string;
}

export async function currentPlace(): Promise<Place> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  return { bootId, netns: await readlink("/proc/self/ns/net") };
}

/** What was read from disk: entries of this place, of another namespace, or none. */
export type Recovered =
  | { state: "empty" }
  | { state: "here"; entries: JournalEntry[] }
  | { state: "elsewhere"; netns: string; entries: JournalEntry[] }
  | { state: "damaged"; keptAs: string };

/** The list of changes that are in force, on disk before each of them happens. No file when there are none. */
export class Journal {
  readonly #path: string;
  readonly #place: Place;
  entries: JournalEntry[] = [];

  constructor(path: string, place: Place) {
    this.#path = path;
    this.#place = place;
  }

  /** Reads what an earlier vpnd left. A file that makes no sense is renamed, never deleted. */
  async load(dryRun = false): Promise<Recovered> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if (errorCode(error) === "ENOENT") return { state: "empty" };
      throw error;
    }
    const file = parse(text);
    if (!file) {
      if (dryRun) return { state: "damaged", keptAs: this.#path };
      const keptAs = `${this.#path}.damaged-${Date.now()}`;
      await rename(this.#path, keptAs);
      return { state: "damaged", keptAs };
    }
    if (file.bootId !== this.#place.bootId || file.entries.length === 0) return { state: "empty" };
    if (file.netns !== this.#place.netns) {
      return { state: "elsewhere", netns: file.netns, entries: file.entries };
    }
    this.entries = file.entries;
    return { state: "here", entries: file.entries };
  }

  /** Writes the entries through to the disk. */
  async save(): Promise<void> {
    if (this.entries.length === 0) {
      await removeFile(this.#path);
      return;
    }
    const file = { version: 1, ...this.#place, entries: this.entries };
    await writeFileAtomic(this.#path, `${JSON.stringify(file, undefined, 1)}\n`);
  }
}

const kinds = new Set<unknown>([
  "create-tun",
  "attach-tun",
  "set-link",
  "add-address",
  "add-route",
  "add-refusal",
  "write-file",
  "add-rule",
  "set-sysctl",
  "add-nft-table",
  "set-link-dns",
  "replace-resolv-conf",
]);

// The folder is root's alone, so this guards against damage, not against an attacker.
function parse(text: string): (Place & { entries: JournalEntry[] }) | undefined {
  try {
    const file: unknown = JSON.parse(text);
    if (typeof file !== "object" || file === null) return undefined;
    const { version, bootId, netns, entries } = file as Record<string, unknown>;
    if (version !== 1 || typeof bootId !== "string" || typeof netns !== "string") return undefined;
    if (!Array.isArray(entries) || !entries.every(isEntry)) return undefined;
    return { bootId, netns, entries };
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is JournalEntry {
  if (typeof value !== "object" || value === null) return false;
  const { owner, step, done } = value as Record<string, unknown>;
  if (typeof owner !== "string" || typeof done !== "boolean") return false;
  return typeof step === "object" && step !== null && "kind" in step && kinds.has(step.kind);
}
