import { VpnError } from "../../common/errors.js";
import { formatDuration } from "../../common/format/duration.js";
import { fingerprint, isWeak, parsePsk } from "../../common/psk.js";
import type { PskEpoch } from "../core/keys/psk-ring.js";
import { hasPsk } from "../core/network/config.js";
import type { Network } from "./network.js";
import type { Networks } from "./networks.js";

export interface PskRequest {
  /** Empty: the only one. */
  network: string;
  /** As typed. */
  psk: Uint8Array;
  /** How long the PSKs before it stay accepted. */
  graceSeconds: number;
  dryRun: boolean;
}

export interface PskResult {
  network: Network;
  /** As they are now, or would be. */
  epochs: PskEpoch[];
  alreadySet: boolean;
  notes: string[];
  plan: string[];
}

const longestGraceSeconds = 366 * 86_400;

/** Makes this node prefer a PSK and accept the ones before it for a while. @throws VpnError */
export async function setPsk(networks: Networks, request: PskRequest): Promise<PskResult> {
  const { graceSeconds, dryRun } = request;
  if (!(graceSeconds >= 0 && graceSeconds <= longestGraceSeconds)) {
    throw new VpnError("usage", "the grace period is out of range", { hint: "use --grace 0..366d" });
  }
  return networks.change(request.network, async (network) => {
    const { badger } = network.config.asked;
    if (!hasPsk(network.config.asked)) {
      throw new VpnError("failed", `network ${network.name} has no PSK: its link is not encrypted`, {
        hint: "leave it and join again with --tls-psk-file",
      });
    }
    const psk = parsePsk(request.psk, { badger });
    const graceMs = graceSeconds * 1000;
    const before = network.fingerprint;
    const { changes, epochs } = network.psks.plan(psk, graceMs);
    const alreadySet = fingerprint(psk) === before;
    // Giving up the former PSKs of a declared network sooner is no change of what the config says.
    if (!alreadySet) networks.declared.refuse(network.name, "changed");
    const notes = badger && isWeak(psk) ? ["the PSK is weak: who records the traffic can guess it"] : [];
    if (dryRun) return { network, epochs, alreadySet, notes, plan: changes ? planOf(epochs, before) : [] };
    if (changes) await network.psks.set(psk, graceMs);
    return { network, epochs: network.psks.epochs(), alreadySet, notes, plan: [] };
  });
}

function planOf(epochs: readonly PskEpoch[], before: string): string[] {
  const [preferred, ...former] = epochs.map(({ psk }) => fingerprint(psk));
  const plan = preferred === before ? [] : [`prefer PSK ${preferred ?? ""} over ${before}`];
  const [newest] = epochs.slice(1);
  if (newest?.until === undefined) return [...plan, "give up all former PSKs"];
  return [
    ...plan,
    `accept ${former.join(", ")} for up to ${formatDuration((newest.until - Date.now()) / 1000)} more`,
  ];
}
