import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { NetworkDetailsSchema, NetworkSchema } from "../../../common/gen/vpnd/v1/network_pb.js";
import type { NetworkPeersSchema, PeerSchema, SelfSchema } from "../../../common/gen/vpnd/v1/peer_pb.js";
import { formatLogPolicy } from "../../../common/postgres/log-policy.js";
import type { PeerView, Reason } from "../../core/carrier.js";
import type { DamagedNetwork } from "../../io/state/store.js";
import type { Network } from "../network.js";

/** Answers of the API, built from what networks show. Absent stays absent. */

const time = (ms: number): Timestamp => timestampFromMs(Math.round(ms));
const count = (value: number): bigint => BigInt(Math.max(0, Math.round(value)));

/** State and reason as people see them. */
export function stateOf(network: Network): { state: string; reason?: Reason } {
  const { life } = network;
  if (life.state === "down") return { state: "down" };
  if (life.state === "starting") return { state: "connecting" };
  if (life.state === "error") return { state: "error", reason: life.reason };
  const { state, reason } = life.carrier.view();
  return reason ? { state, reason } : { state };
}

/** @param declaredIn "FILE:LINE" of its section; undefined: it was joined by hand */
export function networkMessage(
  network: Network,
  declaredIn: string | undefined,
): MessageInitShape<typeof NetworkSchema> {
  const { config } = network;
  const peers = network.carrier?.view().peers ?? [];
  return {
    name: config.name,
    carrier: config.carrier,
    ...stateOf(network),
    virtualIp: network.virtualIp,
    device: config.device,
    mtu: config.mtu,
    mtuAuto: config.asked.mtu === 0,
    nodeName: config.nodeName,
    peersUp: peers.filter((peer) => peer.state === "up").length,
    peersKnown: peers.length,
    pskFingerprint: network.fingerprint,
    since: time(network.since),
    iex: [...config.asked.iex],
    badger: config.asked.badger,
    declaredIn: declaredIn ?? "",
    ...dnsOf(network),
    ...tcpOf(network),
    ...postgresOf(network),
    ...gatewayOf(network),
  };
}

function tcpOf({ config }: Network): Pick<MessageInitShape<typeof NetworkSchema>, "tcp"> {
  const { tcp } = config.asked;
  if (tcp === undefined) return {};
  return { tcp: { role: tcp.role, address: tcp.address, tap: tcp.tap, encrypted: tcp.tls } };
}

function postgresOf({ config }: Network): Pick<MessageInitShape<typeof NetworkSchema>, "postgres"> {
  const { postgres } = config.asked;
  if (postgres === undefined) return {};
  const { url, fast, encrypted, retentionSeconds = 0, maxBytes = 0, log } = postgres;
  const kept = log === undefined ? "" : formatLogPolicy(log);
  return { postgres: { url, fast, encrypted, retentionSeconds, maxBytes: count(maxBytes), log: kept } };
}

function dnsOf({ names }: Network): Pick<MessageInitShape<typeof NetworkSchema>, "dns"> {
  return names.possible ? { dns: names.view() } : {};
}

function gatewayOf({ config, carrier }: Network): Pick<MessageInitShape<typeof NetworkSchema>, "gateway"> {
  const { gateway } = config.asked;
  if (gateway === undefined) return {};
  const { url, proxy = "", routes, fanqiang = false, padding = false } = gateway;
  const addresses = [...(carrier?.addresses?.() ?? [])];
  return { gateway: { url, proxy, routes: [...routes], addresses, fanqiang, padding } };
}

export function damagedMessage(damaged: DamagedNetwork): MessageInitShape<typeof NetworkSchema> {
  return {
    name: damaged.name,
    carrier: "mesh",
    state: "error",
    reason: { code: "damaged-state", message: damaged.message },
  };
}

export function detailsMessage(
  network: Network,
  nodeKey: string,
): MessageInitShape<typeof NetworkDetailsSchema> {
  const view = network.carrier?.view();
  const servers =
    view?.servers ?? network.config.asked.iex.map((address) => ({ address, state: "silent" as const }));
  return {
    servers: servers.map((server) => ({ ...server })),
    listenPort: network.config.port,
    threads: view?.features?.threads ?? network.threads,
    ciphers: view?.ciphers ?? [],
    offloads: view?.features?.offloads ?? [],
    receiveBufferBytes: view?.features?.receiveBufferBytes ?? 0,
    sendBufferBytes: view?.features?.sendBufferBytes ?? 0,
    crypto: view?.features?.crypto ?? "",
    publicEndpoint: view?.publicEndpoint ?? "",
    notes: view?.notes ?? [],
    nodeKey,
    unknownDestinations: (view?.unknownDestinations ?? []).map(({ address, packets }) => ({
      address,
      packets: count(packets),
    })),
  };
}

export function peerMessage(peer: PeerView): MessageInitShape<typeof PeerSchema> {
  return {
    virtualIp: peer.virtualIp,
    path: peer.path,
    state: peer.state,
    rxBytes: count(peer.rxBytes),
    txBytes: count(peer.txBytes),
    rxPackets: count(peer.rxPackets),
    txPackets: count(peer.txPackets),
    since: time(peer.since),
    foreign: peer.foreign,
    name: peer.name ?? "",
    endpoint: peer.endpoint ?? "",
    cipher: peer.cipher ?? "",
    nodeKey: peer.nodeKey ?? "",
    mtu: peer.mtu ?? 0,
    ...(peer.reason ? { reason: peer.reason } : {}),
    ...(peer.rttSeconds === undefined ? {} : { rttSeconds: peer.rttSeconds }),
    ...(peer.lastHandshake === undefined ? {} : { lastHandshake: time(peer.lastHandshake) }),
  };
}

function selfMessage(network: Network): MessageInitShape<typeof SelfSchema> {
  return {
    virtualIp: network.virtualIp,
    name: network.config.nodeName,
    device: network.config.device,
    pskFingerprint: network.fingerprint,
    publicEndpoint: network.carrier?.view().publicEndpoint ?? "",
    ...stateOf(network),
  };
}

export function networkPeersMessage(network: Network): MessageInitShape<typeof NetworkPeersSchema> {
  const view = network.carrier?.view();
  return {
    network: network.name,
    self: selfMessage(network),
    peers: (view?.peers ?? []).map(peerMessage),
    notes: view?.notes ?? [],
  };
}
