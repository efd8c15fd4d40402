import { VpnError } from "../../../common/errors.js";
import type { Client, ExitOffer } from "../../core/exit-node/offer.js";
import { offerItems } from "../../core/routes/offer-items.js";
import { noRouting, withExit } from "../../core/routes/routing.js";
import type { SystemDoor } from "../../io/system/door.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import { refuseToOffer, whomOf } from "../routes/change-routes.js";
import { prepareExit } from "./exit-offer.js";

export interface OfferRequest {
  /** Empty: the only one. */
  network: string;
  /** Whose traffic is carried; empty: any peer's. */
  to: readonly string[];
  allowHost: boolean;
  dryRun: boolean;
}

export interface ExitChange {
  network: string;
  notes: string[];
  plan: string[];
  already: boolean;
}

/** @throws VpnError when it cannot be brought into force; then what was offered before is */
export function offerExit(networks: Networks, door: SystemDoor, request: OfferRequest): Promise<ExitChange> {
  return networks.change(request.network, async (network) => {
    refuseWithoutDevice(network);
    refuseToOffer(network);
    const to = request.to.map((peer) => clientOf(network, peer));
    const offer: ExitOffer = { ...(to.length > 0 && { to: unique(to) }), allowHost: request.allowHost };
    const had = network.config.routing ?? noRouting;
    const next = withExit(had, offer);
    const already = next === had;
    const result = { network: network.name, notes: [] as string[], plan: [] as string[], already };
    if (request.dryRun) return { ...result, plan: already ? [] : await planOffer(network, door, offer) };
    if (!already) await network.setRouting(next);
    await network.routes.sync();
    const now = network.routes.view().exit;
    if (now?.state === "failed" && !already) {
      await network.setRouting(had);
      await network.routes.sync();
      throw new VpnError("failed", `cannot be an exit node: ${now.reason?.message ?? ""}`, {
        hint: "see what vpnd said: journalctl -u vpnd -n 50",
      });
    }
    return { ...result, notes: offerNotes(network, offer) };
  });
}

export function withdrawExit(
  networks: Networks,
  { network: asked, dryRun }: { network: string; dryRun: boolean },
): Promise<ExitChange> {
  return networks.change(asked, async (network) => {
    const had = network.config.routing ?? noRouting;
    const next = withExit(had, undefined);
    const already = next === had;
    const result = { network: network.name, notes: [], plan: [] as string[], already };
    if (dryRun) return { ...result, plan: already ? [] : ["be no exit node to peers"] };
    if (!already) await network.setRouting(next);
    await network.routes.sync();
    return result;
  });
}

async function planOffer(network: Network, door: SystemDoor, offer: ExitOffer): Promise<string[]> {
  const { config, routes } = network;
  const had = config.routing ?? noRouting;
  const whom = offer.to?.map((client) => client.name ?? client.virtualIp).join(", ") ?? "any peer";
  const lines = [`be an exit node to ${whom}`];
  if (network.carrier === undefined) return lines;
  const ready = await prepareExit(offer, config, door);
  if (ready.view.reason !== undefined) return [...lines, `not yet: ${ready.view.reason.message}`];
  const table = offerItems(config.device, had.offers, {
    lans: [],
    ...(ready.rules !== undefined && { exit: ready.rules }),
  });
  // Its table is there already with subnets that are offered.
  const fresh = had.offers.length === 0 && routes.view().exit === undefined;
  lines.push(...(await door.plan(fresh ? [...ready.items, ...table] : ready.items)));
  if (!fresh) lines.push(`change nftables table inet vpnd-routes-${config.device}`);
  if (ready.forwarded.length > 0) {
    lines.push(`forward IPv4 between ${config.device} and ${ready.forwarded.join(", ")}`);
  }
  return lines;
}

function offerNotes(network: Network, offer: ExitOffer): string[] {
  const now = network.routes.view().exit;
  if (now === undefined || now.state === "down") {
    return [`network ${network.name} is not up; it comes into force when it is: vpnctl up ${network.name}`];
  }
  if (now.state === "no-uplink") return [`${now.reason?.message ?? ""}; it is offered once it has one`];
  const host = offer.allowHost
    ? []
    : ["clients cannot connect to this machine itself; to let them: --allow-host"];
  const six = now.withoutSix === undefined ? [] : [`IPv6 is not carried: ${now.withoutSix}`];
  return [...six, ...host];
}

/** @throws VpnError `failed` for what cannot carry IP of others */
export function refuseWithoutDevice(network: Network): void {
  if (network.config.asked.tcp?.tap === true) {
    throw new VpnError("failed", `network ${network.name} carries Ethernet frames`, {
      hint: "exit nodes need a network that carries IP: join it without --tap",
    });
  }
  if (network.carrier === undefined || network.routes.possible) return;
  throw new VpnError("failed", `the carrier of network ${network.name} has no announcements`, {
    hint: "exit nodes need a mesh",
  });
}

/** @throws VpnError as `whomOf` */
export function clientOf(network: Network, peer: string): Client {
  const whom = whomOf(network, peer);
  if (whom !== "all") return whom;
  throw new VpnError("usage", "all is no peer", { hint: "leave it out: then it is for all" });
}

const unique = (clients: readonly Client[]): Client[] => [
  ...new Map(clients.map((client) => [client.nodeKey, client])).values(),
];
