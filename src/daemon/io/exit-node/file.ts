/** The use of an exit node on disk: one is used if the file is there. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ExitUse, formatUse, parseUse } from "../../core/exit-node/state.js";
import { errorCode, removeFile, writeFileAtomic } from "../atomic-file.js";

export type StoredUse =
  | { used: false }
  /** `damaged`: why the file could not be used; then nothing may leave until the user says what he wants. */
  | { used: true; use: ExitUse; damaged?: string };

const nobody: ExitUse = { since: 0, network: "", peers: [], allowLan: false, servers: [] };

export const exitUseFile = (stateDir: string): string => join(stateDir, "exit-node.json");

/** Never throws. */
export async function loadUse(stateDir: string): Promise<StoredUse> {
  const path = exitUseFile(stateDir);
  try {
    const use = parseUse(await readFile(path, "utf8"));
    return use === undefined
      ? { used: true, use: nobody, damaged: `${path} makes no sense` }
      : { used: true, use };
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "ENOENT" || code === "ENOTDIR") return { used: false };
    return { used: true, use: nobody, damaged: `${path} cannot be read (${code})` };
  }
}

/** On the disk when it returns. @throws VpnError `failed` */
export function saveUse(stateDir: string, use: ExitUse): Promise<void> {
  return writeFileAtomic(exitUseFile(stateDir), formatUse(use));
}

/** @throws VpnError `failed` */
export function forgetUse(stateDir: string): Promise<void> {
  return removeFile(exitUseFile(stateDir));
}
