/** What becomes of the prefixes that peers announce. */
import ipaddr from "ipaddr.js";
import type { AnnouncedPeer, Reason } from "../carrier.js";
import { compareAddresses } from "../mesh/address.js";
import { type Cidr, overlaps, parseCidr } from "../network/cidr.js";
import { readRoutePrefix } from "./prefix.js";
import { acceptedAt, announcedPrefix, type Routing } from "./routing.js";

/**
 * `active`: packets go to this peer. `standby`: another peer carries the prefix. `offline`: it would, but is not up; the route
 * stays, so that packets do not go elsewhere. `offered`: not accepted. `shadowed`: something here wins. `failed`: the kernel
 * did not take it.
 */
export type RouteState = "active" | "standby" | "offline" | "offered" | "shadowed" | "failed";

export interface RouteView {
  prefix: string;
  peer: { virtualIp: string; nodeKey: string; name?: string };
  state: RouteState;
  reason?: Reason;
}

export interface Surroundings {
  /** Own address in the network, CIDR. */
  virtualIp: string;
  /** CIDR of each address of this machine's other interfaces. */
  attached: readonly string[];
  /** IP addresses that must stay reachable outside the tunnel: endpoints of peers, servers. */
  outside: readonly string[];
}

export interface Decided {
  routes: RouteView[];
  /** Kernel routes over the device. */
  install: string[];
  /** Node key -> prefixes that it carries. */
  carriers: Map<string, string[]>;
}

interface Candidate {
  peer: AnnouncedPeer;
  prefix: Cidr;
  /** Place in the order of acceptance. */
  place: number;
}

/** @param peers in any order */
export function decideRoutes(
  routing: Routing,
  peers: readonly AnnouncedPeer[],
  around: Surroundings,
): Decided {
  const routes: RouteView[] = [];
  const accepted = new Map<string, Candidate[]>();
  const inOrder = [...peers].sort((a, b) => compareAddresses(a.virtualIp, b.virtualIp));
  for (const peer of inOrder) {
    for (const text of peer.what.routes) {
      const prefix = readRoutePrefix(text);
      if (prefix === undefined) continue;
      const shadow = shadowOf(prefix, routing, around);
      const place = acceptedAt(routing, peer.nodeKey, prefix);
      if (shadow !== undefined) routes.push(view(peer, text, "shadowed", shadow));
      else if (place === undefined) routes.push(view(peer, text, "offered"));
      else accepted.set(text, [...(accepted.get(text) ?? []), { peer, prefix, place }]);
    }
  }
  const carriers = new Map<string, string[]>();
  for (const [text, candidates] of accepted) {
    // Stable: under one decision about all peers the smaller virtual IP comes first.
    candidates.sort((a, b) => a.place - b.place);
    const chosen = candidates.find(({ peer }) => peer.up) ?? candidates[0];
    for (const { peer } of candidates) {
      if (!peer.up) routes.push(view(peer, text, "offline", offline));
      else routes.push(view(peer, text, peer === chosen?.peer ? "active" : "standby"));
    }
    if (chosen === undefined) continue;
    const { nodeKey } = chosen.peer;
    carriers.set(nodeKey, [...(carriers.get(nodeKey) ?? []), text]);
  }
  routes.sort((a, b) => comparePrefixes(a.prefix, b.prefix));
  return { routes, install: [...accepted.keys()], carriers };
}

const offline: Reason = { code: "offline", message: "the peer is not up" };

function shadowOf(prefix: Cidr, routing: Routing, around: Surroundings): Reason | undefined {
  const shadowed = (message: string): Reason => ({ code: "shadowed", message });
  const virtual = parseCidr(around.virtualIp);
  if (virtual !== undefined && overlaps(virtual, prefix)) {
    return shadowed(`it overlaps the network's own ${virtual.prefix}`);
  }
  for (const text of around.attached) {
    const attached = parseCidr(text);
    if (attached !== undefined && overlaps(attached, prefix)) {
      return shadowed(
        `${attached.prefix} is attached here; the peer can offer it under other addresses with --as`,
      );
    }
  }
  for (const offer of routing.offers) {
    const own = parseCidr(announcedPrefix(offer));
    if (own !== undefined && overlaps(own, prefix)) return shadowed(`this node offers ${own.prefix} itself`);
  }
  const held = around.outside.find((address) => holds(prefix, address));
  if (held !== undefined) return shadowed(`it holds ${held}, by which the tunnel itself is reached`);
  return undefined;
}

function holds(prefix: Cidr, address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const host = parseCidr(`${address}/${address.includes(":") ? 128 : 32}`);
  return host !== undefined && overlaps(prefix, host);
}

function view(peer: AnnouncedPeer, prefix: string, state: RouteState, reason?: Reason): RouteView {
  const { virtualIp, nodeKey, name } = peer;
  return {
    prefix,
    peer: { virtualIp, nodeKey, ...(name !== undefined && { name }) },
    state,
    ...(reason !== undefined && { reason }),
  };
}

function comparePrefixes(a: string, b: string): number {
  const [left = "", right = ""] = [a.split("/")[0], b.split("/")[0]];
  return compareAddresses(left, right);
}
