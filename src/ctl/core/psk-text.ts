import { formatDuration } from "../../common/format/duration.js";
import type { NetworkPsk, PskEpoch, SetPskResponse } from "../../common/gen/vpnd/v1/key_pb.js";
import { ago, timestampMs } from "./present.js";
import { notes, table } from "./table.js";

const mostNames = 6;

export function pskStatusText(networks: readonly NetworkPsk[], now: Date): string {
  if (networks.length === 0) return notes(["no networks; join one: vpnctl join --help"]);
  const rows = networks.flatMap((psk) =>
    psk.epochs.map((epoch, index) => [
      psk.network,
      epoch.fingerprint,
      index === 0 ? "preferred" : "accepted",
      ago(epoch.since, now) ?? "-",
      left(epoch, now) ?? "-",
      String(epoch.peers),
      namesOf(epoch) || "-",
    ]),
  );
  return table(["NETWORK", "FINGERPRINT", "USE", "SINCE", "ENDS", "PEERS", "WHO"], rows);
}

/** What `psk set` and `psk rotate` did. */
export function pskSetText(
  psk: NetworkPsk,
  answer: SetPskResponse,
  file: string | undefined,
  now: Date,
): string {
  const [preferred, ...former] = psk.epochs;
  const verb = answer.alreadySet ? "prefers already" : "prefers now";
  const lines = [`${psk.network} ${verb}: psk ${preferred?.fingerprint ?? ""}`];
  for (const epoch of former) {
    lines.push(`still accepted: psk ${epoch.fingerprint}, ends ${left(epoch, now) ?? "never"}`);
  }
  if (file !== undefined) lines.push(`wrote the new key to ${file}`);
  const every =
    former.length > 0
      ? "every node of the network needs this key before the others end: vpnctl psk set --psk-file FILE"
      : "every node of the network needs this key now: vpnctl psk set --psk-file FILE";
  const remarks = [...answer.notes, ...(answer.alreadySet ? [] : [every, "who has it: vpnctl psk status"])];
  return lines.map((line) => `${line}\n`).join("") + notes(remarks);
}

function left(epoch: PskEpoch, now: Date): string | undefined {
  if (epoch.until === undefined) return undefined;
  return `in ${formatDuration((timestampMs(epoch.until) - now.getTime()) / 1000)}`;
}

function namesOf(epoch: PskEpoch): string {
  const names = epoch.users.map(({ virtualIp, name }) => name || virtualIp).sort();
  const more = names.length - mostNames;
  return [...names.slice(0, mostNames), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
