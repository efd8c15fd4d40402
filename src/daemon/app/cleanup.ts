import { existsSync } from "node:fs";
import type { Logger } from "pino";
import { VpnError } from "../../common/errors.js";
import type { Executor } from "../io/system/executor.js";
import { lockState, openDoor } from "./changes.js";

/**
 * `vpnd --cleanup`: takes back what a killed vpnd left on the machine. Joined networks stay joined.
 * @returns what was done, a line each
 * @throws VpnError `already-exists` while a vpnd lives, `failed` when it ran in another network namespace
 */
export async function cleanUp(
  stateDir: string,
  native: Pick<Executor, "openTun" | "closeFd"> & { lockFile: (path: string) => number | undefined },
  log: Logger,
): Promise<string[]> {
  if (!existsSync(stateDir)) return [];
  lockState(stateDir, native.lockFile);
  const { door, left } = await openDoor(stateDir, native, log);
  if (left.state === "elsewhere") {
    throw new VpnError("failed", `that vpnd ran in another network namespace (${left.netns})`, {
      hint: "run the clean-up in there: nsenter --net=FILE vpnd --cleanup",
    });
  }
  return door.undoAll();
}
