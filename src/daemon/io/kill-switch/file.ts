/** The kill switch on disk: it is on if the file is there. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { formatState, type KillSwitchState, parseState, strictest } from "../../core/kill-switch/state.js";
import { errorCode, removeFile, writeFileAtomic } from "../atomic-file.js";

export type StoredSwitch =
  | { on: false }
  /** `damaged`: why the file could not be used; the state is then the strictest one. */
  | { on: true; state: KillSwitchState; damaged?: string };

export const killSwitchFile = (stateDir: string): string => join(stateDir, "kill-switch.json");

/** Never throws: what cannot be read counts as on, and lets nothing through. */
export async function loadKillSwitch(stateDir: string): Promise<StoredSwitch> {
  const path = killSwitchFile(stateDir);
  try {
    const state = parseState(await readFile(path, "utf8"));
    if (state !== undefined) return { on: true, state };
    return { on: true, state: strictest, damaged: `${path} makes no sense` };
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "ENOENT" || code === "ENOTDIR") return { on: false };
    return { on: true, state: strictest, damaged: `${path} cannot be read (${code})` };
  }
}

/** On the disk when it returns. @throws VpnError `failed` */
export function saveKillSwitch(stateDir: string, state: KillSwitchState): Promise<void> {
  return writeFileAtomic(killSwitchFile(stateDir), formatState(state));
}

/** @throws VpnError `failed` */
export function forgetKillSwitch(stateDir: string): Promise<void> {
  return removeFile(killSwitchFile(stateDir));
}
