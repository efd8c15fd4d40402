import { VpnError } from "../../../common/errors.js";
import type { NetworkConfig } from "../../core/network/config.js";
import {
  type Effect,
  effectOf,
  patched,
  refuseToken,
  type Setting,
  type SettingsPatch,
  settingsChanged,
} from "../../core/network/settings.js";
import type { NetworkSecrets } from "../../io/state/store.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";

export interface SettingsRequest {
  /** Empty: the only one. */
  network: string;
  patch: SettingsPatch;
  /** What a gateway asks for; empty: nothing any more; absent: as it is. */
  token?: string;
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
    const secrets = secretsWith(network, request.token);
    const changes = [...settingsChanged(had, next), ...tokenChange(network.secrets, secrets)];
    const effect = effectOf(had, changes, network.carrier !== undefined);
    const result = { network, changes, effect, notes: notesOf(network, effect), plan: [] as string[] };
    if (effect === "none") return result;
    if (had.up) await network.checkPlace(next);
    if (request.dryRun) return { ...result, plan: planOf(network.name, changes, effect) };
    if (effect === "live") await network.adapt(next, secrets);
    else if (effect === "stored") await network.become(next, secrets);
    else await restart(network, had, next, secrets);
    return result;
  });
}

/** Brings it up as `next`; when that fails, as it was. */
async function restart(
  network: Network,
  had: NetworkConfig,
  next: NetworkConfig,
  secrets: NetworkSecrets,
): Promise<void> {
  const before = network.secrets;
  await network.stop();
  try {
    await network.become(next, secrets);
    network.watch(await network.start());
  } catch (error) {
    await network.become(had, before);
    await network.startInBackground();
    const { code, message, hint = "see: vpnctl network" } = VpnError.from(error, "failed");
    throw new VpnError(code, `${message}; nothing was changed`, { hint, cause: error });
  }
}

/** @throws VpnError `usage` where nobody asks for a token */
function secretsWith({ config, secrets }: Network, token: string | undefined): NetworkSecrets {
  if (token === undefined) return secrets;
  refuseToken(config, token);
  const { password: _, ...others } = secrets;
  return token === "" ? others : { ...others, password: token };
}

/** Without the tokens. */
function tokenChange(had: NetworkSecrets, next: NetworkSecrets): Setting[] {
  if (had.password === next.password) return [];
  const shown = (password: string | undefined, text: string): string => (password === undefined ? "" : text);
  const [from, to] = [shown(had.password, "one"), shown(next.password, "another one")];
  return [{ option: "--token-file", from, to: from === "" ? "one" : to }];
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
