import { VpnError } from "../../../common/errors.js";
import { findPeer, type PeerNames } from "../../core/network/find-peer.js";
import { checkRoutePrefix } from "../../core/routes/prefix.js";
import {
  announcedPrefix,
  noRouting,
  type Routing,
  type Whom,
  withAccept,
  withOffers,
  withoutOffers,
  withReject,
} from "../../core/routes/routing.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";

export interface RoutesRequest {
  /** Empty: the only one. */
  network: string;
  prefixes: readonly string[];
  dryRun: boolean;
}

export interface RoutesResult {
  network: string;
  notes: string[];
  plan: string[];
  already: boolean;
}

/** @throws VpnError when nothing of it can be brought into force; then nothing is offered that was not before */
export function offerRoutes(
  networks: Networks,
  request: RoutesRequest & { as: string },
): Promise<RoutesResult> {
  return networks.change(request.network, async (network) => {
    refuseOthers(network);
    refuseToOffer(network);
    const had = routingOf(network);
    const next = withOffers(had, request.prefixes, request.as, network.config.asked.virtualIp);
    const result = await change(network, had, next, request.dryRun);
    if (request.dryRun || network.carrier === undefined) return result;
    const offered = network.routes.view().offers;
    const fresh = offered.filter(
      ({ offer }) => !had.offers.some((one) => announcedPrefix(one) === announcedPrefix(offer)),
    );
    const failed = fresh.find((one) => one.state === "failed");
    if (failed !== undefined) {
      await network.setRouting(had);
      await network.routes.sync();
      throw new VpnError("failed", `cannot offer ${failed.offer.prefix}: ${failed.reason?.message ?? ""}`, {
        hint: "see what vpnd said: journalctl -u vpnd -n 50",
      });
    }
    const unreachable = fresh.filter((one) => one.state === "unreachable");
    const notes = unreachable.map(
      ({ reason }) => `${reason?.message ?? ""} yet; it is offered once there is one`,
    );
    return { ...result, notes: [...result.notes, ...notes] };
  });
}

export function withdrawRoutes(networks: Networks, request: RoutesRequest): Promise<RoutesResult> {
  return networks.change(request.network, async (network) => {
    const had = routingOf(network);
    return change(network, had, withoutOffers(had, request.prefixes), request.dryRun);
  });
}

export function acceptRoutes(
  networks: Networks,
  request: RoutesRequest & { peer: string },
): Promise<RoutesResult> {
  return networks.change(request.network, async (network) => {
    refuseOthers(network);
    const had = routingOf(network);
    const whom = whomOf(network, request.peer);
    const result = await change(network, had, withAccept(had, whom, request.prefixes), request.dryRun);
    if (request.dryRun || network.carrier === undefined) return result;
    return { ...result, notes: [...result.notes, ...acceptNotes(network, whom)] };
  });
}

export function rejectRoutes(
  networks: Networks,
  request: RoutesRequest & { peer: string },
): Promise<RoutesResult> {
  return networks.change(request.network, async (network) => {
    const had = routingOf(network);
    const whom = whomOf(network, request.peer);
    return change(network, had, withReject(had, whom, request.prefixes), request.dryRun);
  });
}

async function change(network: Network, had: Routing, next: Routing, dryRun: boolean): Promise<RoutesResult> {
  const already = next === had;
  const result = { network: network.name, notes: [] as string[], plan: [] as string[], already };
  if (dryRun) return { ...result, plan: already ? [] : await network.routes.plan(next) };
  if (!already) await network.setRouting(next);
  await network.routes.sync();
  if (network.carrier === undefined) {
    result.notes.push(
      `network ${network.name} is not up; it comes into force when it is: vpnctl up ${network.name}`,
    );
  }
  return result;
}

function acceptNotes(network: Network, whom: Whom): string[] {
  const { routes } = network.routes.view();
  const meant = routes.filter((route) => whom === "all" || route.peer.nodeKey === whom.nodeKey);
  if (meant.length === 0) return ["nothing is offered yet; what is offered later is taken then"];
  return meant.flatMap(({ prefix, state, reason }) =>
    state === "shadowed" || state === "failed" ? [`${prefix} is not taken: ${reason?.message ?? state}`] : [],
  );
}

const routingOf = (network: Network): Routing => network.config.routing ?? noRouting;

function refuseOthers(network: Network): void {
  if (network.carrier === undefined || network.routes.possible) return;
  throw new VpnError("failed", `network ${network.name} carries Ethernet frames and has no subnet routes`, {
    hint: "use a mesh, or a link without --tap",
  });
}

/** @throws VpnError `failed` where peers cannot be told what this node offers */
export function refuseToOffer(network: Network): void {
  if (network.carrier === undefined || network.routes.canOffer) return;
  throw new VpnError("failed", `nobody can be offered anything in network ${network.name}`, {
    hint: "a gateway takes no offers; use a mesh, or a link without --tap",
  });
}

/** @throws VpnError as `findPeer`, or `failed` for a peer whose node key is not known */
export function whomOf(network: Network, asked: string): Whom {
  if (asked === "all") return "all";
  if (asked.includes("/")) {
    // The peer was left out, most likely.
    checkRoutePrefix(asked);
    throw new VpnError("usage", `${asked} is no peer`, {
      hint: `say whose: vpnctl routes accept PEER ${asked}`,
    });
  }
  const { virtualIp, name, nodeKey } = findPeer(asked, [...known(network)]);
  if (nodeKey === undefined) {
    throw new VpnError("failed", `${asked} has not connected yet, so nothing tells it from others`, {
      hint: "wait until it is up: vpnctl peers",
    });
  }
  return { nodeKey, virtualIp, ...(name !== undefined && { name }) };
}

function* known(of: Network): Iterable<PeerNames & { nodeKey?: string }> {
  const network = of.name;
  const keys = of.pinnedKeys();
  // Of a gateway nothing is pinned.
  for (const { virtualIp, nodeKey } of of.carrier?.announcements?.() ?? []) keys.set(virtualIp, nodeKey);
  const { accepts, rejects } = routingOf(of);
  for (const { virtualIp, name, nodeKey } of of.carrier?.view().peers ?? []) {
    const key = nodeKey ?? keys.get(virtualIp);
    keys.delete(virtualIp);
    yield {
      network,
      virtualIp,
      ...(name !== undefined && { name }),
      ...(key !== undefined && { nodeKey: key }),
    };
  }
  for (const [virtualIp, nodeKey] of keys) {
    // Offline for long; its name is known where something was decided about it.
    const told = [...accepts, ...rejects].find(
      ({ whom }) => whom !== "all" && whom.nodeKey === nodeKey,
    )?.whom;
    const name = told === undefined || told === "all" ? undefined : told.name;
    yield { network, virtualIp, nodeKey, ...(name !== undefined && { name }) };
  }
}
