import { join } from "node:path";
import type { Logger } from "pino";
import { VpnError } from "../../common/errors.js";
import { sweepState } from "../io/state/sweep.js";
import { SystemDoor } from "../io/system/door.js";
import { type Executor, machineExecutor } from "../io/system/executor.js";
import { currentPlace, Journal, type Recovered } from "../io/system/journal.js";

/**
 * Takes the state folder for this process. The lock ends with the process.
 * @throws VpnError `already-exists` when another vpnd has it
 */
export function lockState(stateDir: string, lockFile: (path: string) => number | undefined): void {
  if (lockFile(join(stateDir, "lock")) !== undefined) return;
  throw new VpnError("already-exists", `another vpnd uses the state folder ${stateDir}`, {
    hint: "stop it first, or choose another --state-dir",
  });
}

/**
 * The door to the machine, with what an earlier vpnd left in its journal; half-written state is removed. Call with the lock
 * held.
 * @param dryRun only says what it finds
 */
export async function openDoor(
  stateDir: string,
  tun: Pick<Executor, "openTun" | "closeFd">,
  log: Logger,
  dryRun = false,
): Promise<{ door: SystemDoor; left: Recovered }> {
  await sweepState(stateDir, dryRun).then(
    (removed) => {
      if (removed.length === 0) return;
      const what = dryRun ? "would remove" : "removed";
      log.warn({ files: removed }, `${what} what a killed vpnd had half written`);
    },
    // A read-only or full disk does not keep the machine from being put in order.
    (error: unknown) => log.warn({ err: error }, "half-written state is left"),
  );
  const journal = new Journal(join(stateDir, "journal.json"), await currentPlace());
  const left = await journal.load(dryRun);
  if (left.state === "damaged" && !dryRun)
    log.error({ kept: left.keptAs }, "the journal made no sense and was set aside");
  return { door: new SystemDoor({ executor: machineExecutor(tun), journal, log }), left };
}
