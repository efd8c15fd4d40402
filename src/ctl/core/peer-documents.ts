import type { GetPeerResponse, NetworkPeers, Peer, PingResponse } from "../../common/gen/vpnd/v1/peer_pb.js";
import { reasonJson } from "./network-documents.js";
import { bareAddress, filled, type Json, rfc3339 } from "./present.js";

function peerJson(peer: Peer): { [key: string]: Json } {
  return {
    virtualIp: peer.virtualIp,
    name: filled(peer.name),
    path: peer.path,
    state: peer.state,
    reason: reasonJson(peer.reason),
    endpoint: filled(peer.endpoint),
    rttSeconds: peer.rttSeconds,
    rxBytes: Number(peer.rxBytes),
    txBytes: Number(peer.txBytes),
    rxPackets: Number(peer.rxPackets),
    txPackets: Number(peer.txPackets),
    lastHandshake: rfc3339(peer.lastHandshake),
    since: rfc3339(peer.since),
    cipher: filled(peer.cipher),
    foreign: peer.foreign,
    nodeKey: filled(peer.nodeKey),
    mtu: peer.mtu || undefined,
  };
}

export function peersJson(network: NetworkPeers): { schema: string; [key: string]: Json } {
  const self = network.self;
  return {
    schema: "vpnctl.peers/v1",
    network: network.network,
    self: self && {
      virtualIp: bareAddress(self.virtualIp),
      name: self.name,
      device: self.device,
      pskFingerprint: filled(self.pskFingerprint),
      publicEndpoint: filled(self.publicEndpoint),
      state: self.state,
      reason: reasonJson(self.reason),
    },
    peers: network.peers.map(peerJson),
    notes: network.notes,
  };
}

export function peerDocument(answer: GetPeerResponse, peer: Peer): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.peer/v1",
    network: answer.network,
    ...peerJson(peer),
    endpoints: answer.endpoints,
    pinnedSince: rfc3339(answer.pinnedSince),
  };
}

export function pingJson(pong: PingResponse): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.ping/v1",
    network: pong.network,
    virtualIp: pong.virtualIp,
    name: filled(pong.name),
    sequence: pong.sequence,
    rttSeconds: pong.rttSeconds,
    path: filled(pong.path),
    endpoint: filled(pong.endpoint),
  };
}
