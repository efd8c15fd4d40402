import { type FileHandle, open, readFile, rename } from "node:fs/promises";
import { formatEvent, type NetworkEvent, parseEvent } from "../../core/events/event.js";
import { errorCode } from "../atomic-file.js";

export interface EventFileOptions {
  /** Bytes after which a file is closed; two files are kept. */
  maxBytes?: number;
  /** Events that may wait for a slow disk; more are counted as lost. */
  maxWaiting?: number;
}

/**
 * Events on disk: PATH, and PATH.1 with those before it. A disk that takes nothing costs events, never the program; the next
 * event tries again.
 */
export class EventFile {
  /** Events that could not be written. */
  failures = 0;
  /** Why the last write failed; undefined when it worked. */
  trouble: string | undefined;
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #maxWaiting: number;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;

  constructor(path: string, { maxBytes = 1 << 20, maxWaiting = 1000 }: EventFileOptions = {}) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#maxWaiting = maxWaiting;
  }

  /** What is there, oldest first; lines that make no sense are left out. Never rejects. */
  async load(): Promise<NetworkEvent[]> {
    const texts = await Promise.all([`${this.#path}.1`, this.#path].map((path) => this.#read(path)));
    return texts.flatMap((text) => text.split("\n")).flatMap((line) => parseEvent(line) ?? []);
  }

  /** Returns at once; the event is written as soon as the ones before it are. */
  append(event: NetworkEvent): void {
    if (this.#waiting.length >= this.#maxWaiting) {
      this.failures += 1;
      return;
    }
    this.#waiting.push(formatEvent(event));
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when everything that was appended is written or given up. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        await this.#writeLines(lines);
        this.trouble = undefined;
      } catch (error) {
        this.failures += lines.length;
        this.trouble = errorCode(error) ?? String(error);
      }
    }
  }

  async #writeLines(lines: readonly string[]): Promise<void> {
    const data = lines.join("");
    let file = await open(this.#path, "a+", 0o600);
    try {
      if ((await file.stat()).size + data.length > this.#maxBytes) {
        await file.close();
        await rename(this.#path, `${this.#path}.1`);
        file = await open(this.#path, "a+", 0o600);
      }
      // A line that a crash or a full disk cut short must not swallow the next one.
      await file.appendFile((await endsLine(file)) ? data : `\n${data}`);
    } finally {
      await file.close();
    }
  }

  async #read(path: string): Promise<string> {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (errorCode(error) !== "ENOENT") this.trouble = errorCode(error) ?? String(error);
      return "";
    }
  }
}

async function endsLine(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return true;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === 0x0a;
}
