import { existsSync, unlinkSync } from "node:fs";
import type { Logger } from "pino";
import { VpnError } from "../../common/errors.js";
import { probeSocket } from "../io/api-socket.js";
import { metricsSocketPath } from "../io/metrics/metrics-sockets.js";
import { type Executor, machineExecutor } from "../io/system/executor.js";
import { lockState, openDoor } from "./changes.js";
import { isKillSwitchOn, liftKillSwitch, staysOn } from "./kill-switch/without-daemon.js";

/**
 * `vpnd --cleanup`: takes back what a killed vpnd left on the machine. Joined networks stay joined.
 * @param options `dryRun`: changes nothing, and says what would be done; `killSwitch`: lifts that too
 * @returns what was done, and remarks on it, a line each
 * @throws VpnError `already-exists` while a vpnd lives, `failed` when it ran in another network namespace, or something could
 * not be taken back: that stays in the journal for another attempt
 */
export async function cleanUp(
  { stateDir, socket }: { stateDir: string; socket: string },
  native: Pick<Executor, "openTun" | "closeFd"> & { lockFile: (path: string) => number | undefined },
  log: Logger,
  { dryRun, killSwitch }: { dryRun: boolean; killSwitch: boolean },
): Promise<{ done: string[]; notes: string[] }> {
  const machine = machineExecutor(native);
  const there = existsSync(stateDir);
  if (there) lockState(stateDir, native.lockFile);
  // First, and whatever becomes of the rest: whoever asks for it may be cut off until it is lifted.
  const lifted = killSwitch ? await liftKillSwitch(stateDir, machine, dryRun) : [];
  const notes = !killSwitch && (await isKillSwitchOn(stateDir, machine)) ? [staysOn] : [];
  const done = there ? await cleanUpRest({ stateDir, socket }, native, log, dryRun) : [];
  return { done: [...lifted, ...done], notes };
}

async function cleanUpRest(
  { stateDir, socket }: { stateDir: string; socket: string },
  native: Pick<Executor, "openTun" | "closeFd">,
  log: Logger,
  dryRun: boolean,
): Promise<string[]> {
  const { door, left } = await openDoor(stateDir, native, log, dryRun);
  if (left.state === "elsewhere") {
    throw new VpnError("failed", `that vpnd ran in another network namespace (${left.netns})`, {
      hint: "run the clean-up in there: nsenter --net=FILE vpnd --cleanup",
    });
  }
  if (left.state === "damaged") {
    throw new VpnError("failed", "the journal made no sense: what is left on the machine is not known", {
      hint: `look at ip link, ip rule and nft list tables for what is vpnd's; the journal is ${dryRun ? "" : "kept as "}${left.keptAs}`,
    });
  }
  if (dryRun) {
    const stale = await staleSockets(socket);
    return [...(await door.planUndoAll()), ...stale.map((path) => `remove socket ${path}`)];
  }
  const done = await door.undoAll();
  const [first, ...more] = door.leftovers();
  if (first !== undefined) {
    const others = more.length === 0 ? "" : `, and ${more.length} more`;
    throw new VpnError("failed", `not everything could be taken back: ${first}${others}`, {
      hint: "the log above says why; then again: vpnd --cleanup",
    });
  }
  for (const path of await staleSockets(socket)) {
    unlinkSync(path);
    done.push(`remove socket ${path}`);
  }
  return done;
}

/** The API's socket and that of metrics beside it, as far as they were left. */
async function staleSockets(socket: string): Promise<string[]> {
  const both = [socket, metricsSocketPath(socket)];
  const stale = await Promise.all(both.map(isStale));
  return both.filter((_, index) => stale[index]);
}

/** A socket that somebody listens on, or that is no socket, is not ours to remove. */
async function isStale(socket: string): Promise<boolean> {
  try {
    return (await probeSocket(socket)) === "stale";
  } catch {
    return false;
  }
}
