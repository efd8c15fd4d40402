/** This node as an exit node of one network: what it can carry now. */
import { parseEndpoint } from "../../../common/endpoint.js";
import type { AnnouncedPeer, Reason } from "../../core/carrier.js";
import { innerAddress6, innerCidr6, isPublic } from "../../core/exit-node/addresses.js";
import { admits, type ExitOffer } from "../../core/exit-node/offer.js";
import type { ExitRules } from "../../core/exit-node/offer-rules.js";
import type { NetworkConfig } from "../../core/network/config.js";
import { forwardingKey6 } from "../../core/routes/offer-items.js";
import type { Item } from "../../core/system/items.js";
import { publicAddresses, readUplinks } from "../../io/exit-node/uplinks.js";
import type { SystemDoor } from "../../io/system/door.js";

/** `no-uplink`: this machine has no way to the Internet now, so it is not announced. */
export interface ExitOfferView {
  offer: ExitOffer;
  state: "offered" | "no-uplink" | "failed" | "down";
  v4: boolean;
  v6: boolean;
  /** By which the Internet is reached. */
  devices: readonly string[];
  /** Why IPv6 is not carried. */
  withoutSix?: string;
  reason?: Reason;
}

/** An offer, and what it takes on this machine. */
export interface ReadyExit {
  view: ExitOfferView;
  rules?: ExitRules;
  /** Besides the rules. */
  items: Item[];
  /** Devices that IPv4 is forwarded between and the tunnel. */
  forwarded: readonly string[];
}

export const nothingOffered = (offer: ExitOffer): ExitOfferView => {
  return { offer, state: "down", v4: false, v6: false, devices: [] };
};

/** What of an offer can be brought about now. */
export async function prepareExit(
  offer: ExitOffer,
  config: NetworkConfig,
  door: Pick<SystemDoor, "readSetting">,
): Promise<ReadyExit> {
  const { device } = config;
  const { virtualIp } = config.asked;
  const uplinks = readUplinks([device]);
  const withoutSix = await obstacleToSix(uplinks[6], device, door);
  const v4 = uplinks[4].length > 0 && !virtualIp.includes(":");
  const v6 = withoutSix === undefined;
  if (!v4 && !v6) {
    const message = "this machine has no default route by which it could carry what peers send";
    const reason = { code: "no-uplink", message };
    const view = { offer, state: "no-uplink", v4, v6, devices: [], reason } as const;
    return { view, items: [], forwarded: [] };
  }
  const devices = [...new Set([...(v4 ? uplinks[4] : []), ...(v6 ? uplinks[6] : [])])].sort();
  const address = v6 ? innerCidr6(virtualIp) : undefined;
  return {
    view: {
      offer,
      state: "offered",
      v4,
      v6,
      devices,
      ...(withoutSix !== undefined && { withoutSix }),
    },
    rules: { offer, virtualIp, six: v6 },
    items: address === undefined ? [] : [{ kind: "address", device, address }],
    forwarded: v4 ? uplinks[4] : [],
  };
}

async function obstacleToSix(
  uplinks: readonly string[],
  device: string,
  door: Pick<SystemDoor, "readSetting">,
): Promise<string | undefined> {
  if (uplinks.length === 0) return "this machine has no IPv6 route to the Internet";
  if ((await door.readSetting(`net/ipv6/conf/${device}/disable_ipv6`)) !== "0") {
    return `IPv6 is switched off on ${device}`;
  }
  // Not switched on by us: it also makes the machine ignore router advertisements, by which it may have its own address.
  if ((await door.readSetting(forwardingKey6)) === "1") return undefined;
  return "this machine does not forward IPv6; if it may: sysctl net.ipv6.conf.all.forwarding=1";
}

/** Addresses by which the outside sees what is carried. @param publicEndpoint as servers see this node */
export function seenAs(view: ExitOfferView, publicEndpoint: string | undefined): string[] {
  const told = publicEndpoint === undefined ? undefined : parseEndpoint(publicEndpoint)?.address;
  const own = publicAddresses(view.devices);
  const ofFamily = (six: boolean): string | undefined =>
    told !== undefined && told.includes(":") === six && isPublic(told) ? told : own[six ? 6 : 4];
  return [view.v4 ? ofFamily(false) : undefined, view.v6 ? ofFamily(true) : undefined].flatMap(
    (one) => one ?? [],
  );
}

/** Whether a peer's address is a client's. */
export function clientCheck(offer: ExitOffer): (source: string) => boolean {
  if (offer.to === undefined) return () => true;
  const addresses = new Set(offer.to.map((client) => client.virtualIp));
  return (source) => addresses.has(source);
}

/** The addresses under which clients send IPv6, by node key. */
export function clientAddresses(
  offer: ExitOffer,
  peers: readonly AnnouncedPeer[],
): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const { nodeKey, virtualIp } of peers) {
    const address = innerAddress6(virtualIp);
    if (address !== undefined && admits(offer, nodeKey)) found.set(nodeKey, [`${address}/128`]);
  }
  return found;
}
