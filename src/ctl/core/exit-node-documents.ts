import type { ExitNode, ExitNodeUse, NetworkExitNodes } from "../../common/gen/vpnd/v1/exit_node_pb.js";
import { reasonJson } from "./network-documents.js";
import { filled, type Json, rfc3339 } from "./present.js";

export function exitNodesJson(
  { network, offer, exitNodes }: NetworkExitNodes,
  use: ExitNodeUse | undefined,
): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.exit-nodes/v1",
    network,
    offer: offer && {
      state: offer.state,
      reason: reasonJson(offer.reason),
      ipv4: offer.ipv4,
      ipv6: offer.ipv6,
      withoutIpv6: filled(offer.withoutIpv6),
      clients: offer.clients.length === 0 ? undefined : offer.clients.map(peerJson),
      allowHost: offer.allowHost,
      devices: offer.devices,
    },
    exitNodes: exitNodes.map(exitJson),
    use: use?.network === network ? useJson(use) : undefined,
  };
}

export function useJson(use: ExitNodeUse): Json {
  return {
    network: use.network,
    automatic: use.automatic,
    peers: use.peers.map(peerJson),
    allowLan: use.allowLan,
    since: rfc3339(use.since),
    active: use.active && exitJson(use.active),
    reason: reasonJson(use.reason),
  };
}

function exitJson(exit: ExitNode): Json {
  return {
    ...peerJson(exit),
    state: exit.state,
    ipv4: exit.ipv4,
    ipv6: exit.ipv6,
    seenAs: exit.seenAs,
  };
}

function peerJson({ virtualIp, name }: { virtualIp: string; name: string }): { [key: string]: Json } {
  return { virtualIp, name: filled(name) };
}
