import { VpnError } from "../../../common/errors.js";
import type { NetworkConfig } from "../../core/network/config.js";
import {
  type Effect,
  effectOf,
  patched,
  type Setting,
  type SettingsPatch,
  settingsChanged,
} from "../../core/network/settings.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";

export interface SettingsRequest {
  /** Empty: the only one. */
  network: string;
  patch: SettingsPatch;
  dryRun: boolean;
  hostName: string;
}

export interface SettingsResult {
  network: Network;
  changes: Setting[];
  effect: Effect;
  notes: string[];
  plan: string[];
}

/** @throws VpnError when the network cannot be like that; then it is as it was */
export function changeSettings(networks: Networks, request: SettingsRequest): Promise<SettingsResult> {
  return networks.change(request.network, async (network) => {
    networks.declared.refuse(network.name, "changed");
    const had = network.config;
    const next = patched(had, request.patch, request.hostName);
    const changes = settingsChanged(had, next);
    const effect = effectOf(had, changes, network.carrier !== undefined);
    const result = { network, changes, effect, notes: notesOf(network, effect), plan: [] as string[] };
    if (effect === "none") return result;
    if (had.up) await network.checkPlace(next);
    if (request.dryRun) return { ...result, plan: planOf(network.name, changes, effect) };
    if (effect === "live") await network.adapt(next);
    else if (effect === "stored") await network.become(next, network.secrets);
    else await restart(network, had, next);
    return result;
  });
}

/** Brings it up as `next`; when that fails, as it was. */
async function restart(network: Network, had: NetworkConfig, next: NetworkConfig): Promise<void> {
  const { secrets } = network;
  await network.stop();
  try {
    await network.become(next, secrets);
    network.watch(await network.start());
  } catch (error) {
    await network.become(had, secrets);
    await network.startInBackground();
    const { code, message, hint = "see: vpnctl network" } = VpnError.from(error, "failed");
    throw new VpnError(code, `${message}; nothing was changed`, { hint, cause: error });
  }
}

function planOf(name: string, changes: readonly Setting[], effect: Effect): string[] {
  const lines = changes.map(({ option, from, to }) => `change ${option} from ${shown(from)} to ${shown(to)}`);
  return effect === "restart" ? [...lines, `restart network ${name}: its device is made anew`] : lines;
}

function notesOf({ name }: Network, effect: Effect): string[] {
  if (effect === "restart") return ["the network was restarted: its device was made anew"];
  return effect === "stored"
    ? [`network ${name} is down; it has this from its next start on: vpnctl up ${name}`]
    : [];
}

const shown = (text: string): string => (text === "" ? "none" : text);
