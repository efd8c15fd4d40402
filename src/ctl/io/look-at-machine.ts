import { execFile } from "node:child_process";
import { open, readdir } from "node:fs/promises";

const longestMs = 5_000;
const mostBytes = 2 << 20;

/** A text, or why there is none. */
export type Found = { text: string } | { missing: string };

/** Output of a program, run with the caller's rights and without a shell. Never rejects. */
export function outputOf(program: string, args: readonly string[], signal: AbortSignal): Promise<Found> {
  return new Promise((resolve) => {
    const options = { timeout: longestMs, maxBuffer: mostBytes, signal, encoding: "utf8" } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ text: stdout });
      const said = stderr.trim().split("\n")[0] ?? "";
      const why = error.code === "ENOENT" ? `${program} is not installed` : said || error.message;
      resolve({ missing: why });
    });
  });
}

/** The beginning of a file. Never rejects. */
export async function contentsOf(path: string): Promise<Found> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(mostBytes), 0, mostBytes, 0);
      return { text: buffer.subarray(0, bytesRead).toString("utf8") };
    } finally {
      await file.close();
    }
  } catch (error) {
    return { missing: error instanceof Error && "code" in error ? String(error.code) : String(error) };
  }
}

/** Paths of the config files that vpnd reads by default: the main one, and those beside it. */
export async function configFiles(main: string): Promise<string[]> {
  const folder = `${main}.d`;
  const more = await readdir(folder).catch(() => []);
  return [
    main,
    ...more
      .filter((name) => name.endsWith(".toml"))
      .sort()
      .map((name) => `${folder}/${name}`),
  ];
}
