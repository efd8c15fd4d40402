import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../atomic-file.js";

/** A file of the state folder. */
export interface StateFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Permission bits. */
  mode: number;
}

const most = 1_000;
const deepest = 4;

/** Files below the state folder, sorted; what comes after the first thousand is only counted. */
export async function listFiles(root: string): Promise<{ files: StateFile[]; more: number }> {
  const files: StateFile[] = [];
  let more = 0;
  const walk = async (folder: string, depth: number): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return [];
      throw error;
    });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (depth < deepest) await walk(path, depth + 1);
        continue;
      }
      if (files.length >= most) {
        more++;
        continue;
      }
      // It may have been replaced since it was listed.
      const stat = await lstat(path).catch(() => undefined);
      if (stat) files.push({ path, size: stat.size, mode: stat.mode & 0o7777 });
    }
  };
  await walk(root, 0);
  return { files, more };
}
