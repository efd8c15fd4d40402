/** What a peer's place on the map means: what is new, who dials whom, and where to. */
import type { Endpoint } from "../engine.js";
import { compareAddresses, hostOf, inSubnet, type Subnet } from "./address.js";
import { type Peer, virtualIpOf } from "./peer.js";
import type { MapEntry, MeshConfig } from "./types.js";

/** The larger virtual IP is DTLS client, between all nodes. */
export function isLeader(config: MeshConfig, peer: Peer): boolean {
  return compareAddresses(config.virtualIp, virtualIpOf(peer)) > 0;
}

/**
 * Takes what the maps show of a peer now.
 * @returns its entries at endpoints where it was not listed before
 */
export function relist(peer: Peer, entries: readonly MapEntry[]): readonly MapEntry[] {
  const fresh = newEndpoints(peer, entries);
  if (fresh.length > 0 || entries.length > 1 || peer.listed.length !== entries.length) {
    const known = entries.filter((entry) => !fresh.includes(entry));
    peer.listed = [...fresh, ...known].sort(bySeen(peer, fresh));
  } else peer.listed = entries;
  return fresh;
}

/** Entries at endpoints where the peer was not listed before. */
function newEndpoints(peer: Peer, entries: readonly MapEntry[]): MapEntry[] {
  if (entries === peer.listed) return [];
  return entries.filter((entry) => !peer.listed.some((one) => one.publicEndpoint === entry.publicEndpoint));
}

/** New endpoints first as the map has them, the others in the order they had. */
function bySeen(peer: Peer, fresh: readonly MapEntry[]): (a: MapEntry, b: MapEntry) => number {
  const order = [...fresh, ...peer.listed].map((entry) => entry.publicEndpoint);
  return (a, b) => order.indexOf(a.publicEndpoint) - order.indexOf(b.publicEndpoint);
}

/** What is known of where we are ourselves. */
export interface Surroundings {
  publicEndpoint: Endpoint | undefined;
  subnets: readonly Subnet[];
  /** Own UDP port. */
  port: number;
}

/**
 * Endpoints to dial or punch, best first. A private one only behind the same NAT (else it may name anybody), and only in a
 * subnet of ours.
 */
export function endpointsToTry(peer: Peer, here: Surroundings): Endpoint[] {
  const endpoints: Endpoint[] = [];
  if (peer.session.kind !== "none" && peer.redial !== "moved") endpoints.push(peer.session.endpoint);
  // A rekey of a living tunnel takes the tunnel's own path first.
  if (peer.session.kind === "live" && peer.redial === "rekey" && peer.failures === 0) return endpoints;
  if (peer.session.kind === "live" && peer.redial === "epoch") return endpoints;
  for (const entry of peer.listed) {
    const beside = privateCandidate(entry, here);
    if (beside !== undefined) endpoints.push(beside);
    endpoints.push(entry.publicEndpoint);
  }
  return [...new Set(endpoints)];
}

function privateCandidate(entry: MapEntry, here: Surroundings): Endpoint | undefined {
  const { privateEndpoint } = entry;
  if (privateEndpoint === undefined || here.publicEndpoint === undefined) return undefined;
  if (hostOf(entry.publicEndpoint) !== hostOf(here.publicEndpoint)) return undefined;
  const host = hostOf(privateEndpoint);
  if (host === undefined || host === hostOf(entry.publicEndpoint)) return undefined;
  const near = here.subnets.some((subnet) => inSubnet(host, subnet));
  const ourselves = here.subnets.some((subnet) => subnet.address === host);
  return near && !ourselves ? privateEndpoint : undefined;
}
