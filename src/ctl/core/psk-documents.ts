import type { NetworkPsk, SetPskResponse } from "../../common/gen/vpnd/v1/key_pb.js";
import { filled, type Json, rfc3339 } from "./present.js";

export function pskStatusJson(psk: NetworkPsk): { schema: string; [key: string]: Json } {
  return { schema: "vpnctl.psk-status/v1", ...pskJson(psk) };
}

export function pskSetJson(
  psk: NetworkPsk,
  answer: SetPskResponse,
  dryRun: boolean,
  generated: { file?: string; key?: string },
): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.psk-set/v1",
    ...pskJson(psk),
    alreadySet: answer.alreadySet,
    dryRun,
    file: generated.file,
    psk: generated.key,
    notes: answer.notes,
    plan: dryRun ? answer.plan : undefined,
  };
}

function pskJson(psk: NetworkPsk): { [key: string]: Json } {
  return {
    network: psk.network,
    badger: psk.badger,
    epochs: psk.epochs.map((epoch) => ({
      fingerprint: epoch.fingerprint,
      since: rfc3339(epoch.since),
      until: rfc3339(epoch.until),
      peers: epoch.peers,
      users: epoch.users.map(({ virtualIp, name }) => ({ virtualIp, name: filled(name) })),
    })),
  };
}
