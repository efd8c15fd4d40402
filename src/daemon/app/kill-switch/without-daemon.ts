/** The kill switch while no vpnd runs: at boot, and to lift it. */
import { VpnError } from "../../../common/errors.js";
import { killSwitchFamily, killSwitchTable } from "../../core/kill-switch/rules.js";
import { forgetKillSwitch, killSwitchFile, loadKillSwitch } from "../../io/kill-switch/file.js";
import { isUp, type KillSwitchMachine, putUp, takeDown } from "../../io/kill-switch/machine.js";
import { howToLift } from "./kill-switch.js";

/** Said by whatever leaves it on. */
export const staysOn = `the kill switch stays on; to lift it: ${howToLift}`;

/** Whether one is on, for those who leave it alone. */
export async function isKillSwitchOn(stateDir: string, machine: KillSwitchMachine): Promise<boolean> {
  return (await loadKillSwitch(stateDir)).on || (await isUp(machine));
}

/**
 * Lifts it. @param dryRun only says so
 * @returns what was done, a line each
 * @throws VpnError `failed` when something of it is left
 */
export async function liftKillSwitch(
  stateDir: string,
  machine: KillSwitchMachine,
  dryRun: boolean,
): Promise<string[]> {
  const { on } = await loadKillSwitch(stateDir);
  const up = await isUp(machine);
  const said = [
    ...(up ? [`remove nftables table ${killSwitchFamily} ${killSwitchTable}`] : []),
    ...(on ? [`remove file ${killSwitchFile(stateDir)}`] : []),
  ];
  if (dryRun) return said;
  if (up || on) await takeDown(machine);
  if (on) await forgetKillSwitch(stateDir);
  return said;
}

/**
 * `vpnd --restore-kill-switch`: puts one that is on in force, before anything can leave.
 * @returns what was done, a line each
 * @throws VpnError `failed` when its file is damaged; everything is shut then
 */
export async function restoreKillSwitch(stateDir: string, machine: KillSwitchMachine): Promise<string[]> {
  const stored = await loadKillSwitch(stateDir);
  if (!stored.on) return [];
  await putUp(machine, stored.state);
  if (stored.damaged === undefined) return [`add nftables table ${killSwitchFamily} ${killSwitchTable}`];
  throw new VpnError("failed", `${stored.damaged}: the kill switch lets nothing through`, {
    hint: `start vpnd; or lift it: sudo vpnd --cleanup --kill-switch`,
  });
}
