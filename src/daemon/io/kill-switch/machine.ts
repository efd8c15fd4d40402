/** What the kill switch asks of the machine; its table goes through the same planning and executing as every other change. */
import { killSwitchFamily, killSwitchStep, killSwitchTable } from "../../core/kill-switch/rules.js";
import { type KillSwitchState, strictest } from "../../core/kill-switch/state.js";
import { applyActions, undoActions } from "../../core/system/undo.js";
import type { Executor } from "../system/executor.js";
import { observe } from "../system/observe.js";

/** The part of the executor that it needs. */
export type KillSwitchMachine = Executor;

/** Makes the table, or changes it in one transaction. @throws VpnError `failed` when nft cannot */
export async function putUp(machine: KillSwitchMachine, state: KillSwitchState): Promise<void> {
  for (const action of applyActions(killSwitchStep(state))) await machine.run(action);
}

/** @returns whether there was something to take down @throws VpnError `failed` when nft cannot */
export async function takeDown(machine: KillSwitchMachine): Promise<boolean> {
  const step = killSwitchStep(strictest);
  const actions = undoActions(step, await observe(machine, [step]));
  for (const action of actions) await machine.run(action);
  return actions.length > 0;
}

/** Whether the table is seen to be there; not on a machine without nft. */
export async function isUp(machine: KillSwitchMachine): Promise<boolean> {
  const tables = await machine.nftTables().catch((): string[] => []);
  return tables.includes(`${killSwitchFamily} ${killSwitchTable}`);
}

/**
 * CIDR of each address of an interface on a network with others; tunnels and loopback are none.
 * @param own vpnd's devices
 */
export async function attachedAddresses(
  machine: KillSwitchMachine,
  own: readonly string[],
): Promise<string[]> {
  const shown = await machine.readIp(["addr", "show"]);
  if (!Array.isArray(shown)) return [];
  return shown.filter(isObject).flatMap((link) => {
    if (link.link_type !== "ether" || !Array.isArray(link.addr_info)) return [];
    if (own.some((name) => name === link.ifname)) return [];
    return link.addr_info.filter(isObject).map(({ local, prefixlen }) => `${local}/${prefixlen}`);
  });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
