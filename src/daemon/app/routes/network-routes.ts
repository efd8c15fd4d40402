import type { Logger } from "pino";
import { parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import type { AnnouncedPeer, Carrier, Reason } from "../../core/carrier.js";
import { isInternet } from "../../core/exit-node/addresses.js";
import type { ExitOffer } from "../../core/exit-node/offer.js";
import type { NetworkConfig } from "../../core/network/config.js";
import type { Announcement } from "../../core/routes/announcement.js";
import { decideRoutes, type RouteView } from "../../core/routes/decide.js";
import { devicesTowards } from "../../core/routes/devices.js";
import { offerItems } from "../../core/routes/offer-items.js";
import { announcedPrefix, noRouting, type Offer, type Routing } from "../../core/routes/routing.js";
import type { Item } from "../../core/system/items.js";
import type { SystemDoor } from "../../io/system/door.js";
import {
  clientAddresses,
  clientCheck,
  type ExitOfferView,
  nothingOffered,
  prepareExit,
  type ReadyExit,
  seenAs,
} from "../exit-node/exit-offer.js";
import { Mutex } from "../mutex.js";
import type { Forwarding } from "./forwarding.js";

export interface RoutesParts {
  door: SystemDoor;
  forwarding: Forwarding;
  /** Addresses of this machine's interfaces with the lengths of their subnets. */
  subnets: () => { address: string; length: number }[];
  config: () => NetworkConfig;
  /** Who may ask this node for all names, by source address: clients of an exit node; undefined: nobody. */
  onClients: (allowed: ((source: string) => boolean) | undefined) => void;
  log: Logger;
  onChange: () => void;
}

/** `unreachable`: this machine has no way to it now, so it is not announced. */
export interface OfferView {
  offer: Offer;
  state: "offered" | "unreachable" | "failed" | "down";
  devices: readonly string[];
  reason?: Reason;
}

export interface RoutesView {
  routing: Routing;
  offers: OfferView[];
  routes: RouteView[];
  /** This node as an exit node, if it is one. */
  exit?: ExitOfferView;
}

/** How often interfaces are looked at, and what failed is tried again. */
const lookMs = 5000;

/** The subnet routes of one running network: what it offers, and what it takes of peers. */
export class NetworkRoutes {
  readonly #parts: RoutesParts;
  readonly #mutex = new Mutex();
  #carrier: Carrier | undefined;
  #timer: NodeJS.Timeout | undefined;
  #poked = false;
  #offers: OfferView[] = [];
  /** Offers and interfaces as they were when `#offers` was made of them. */
  #offersOf = "";
  /** The door's items for offers, as they are on the machine. */
  #itemsInForce = "";
  #routes: RouteView[] = [];
  #exit: ExitOfferView | undefined;
  /** Default routes that a peer carries as this machine's exit node, by node key. */
  #carried: ReadonlyMap<string, readonly string[]> = new Map();
  #hadMore = false;
  /** Prefixes with a kernel route of ours. */
  readonly #installed = new Set<string>();
  readonly #failures = new Map<string, Reason>();
  #subnets = "";

  constructor(parts: RoutesParts) {
    this.#parts = parts;
  }

  /** Whether peers can offer this node anything. */
  get possible(): boolean {
    return this.#carrier?.announcements !== undefined;
  }

  /** Whether this node can offer peers anything. */
  get canOffer(): boolean {
    return this.#carrier?.announce !== undefined;
  }

  /** The network runs; what was decided before comes into force without being waited for. */
  start(carrier: Carrier): void {
    this.#carrier = carrier;
    if (!this.possible) return;
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
    this.poke();
  }

  /** Before the network's own changes to the machine are taken back. Never throws. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#carrier = undefined;
    await this.#mutex.run(async () => {
      const { name } = this.#parts.config();
      await this.#parts.forwarding.release(name);
      await this.#parts.door.undo(`${name}/routes`);
      this.#installed.clear();
      this.#failures.clear();
      this.#offers = [];
      this.#offersOf = "";
      this.#itemsInForce = "";
      this.#routes = [];
      this.#exit = undefined;
      this.#hadMore = false;
    });
  }

  /** Which peer carries which default routes from now on, by node key: what is sent into the tunnel goes to it. */
  carry(carried: ReadonlyMap<string, readonly string[]>): void {
    if (JSON.stringify([...carried]) === JSON.stringify([...this.#carried])) return;
    this.#carried = carried;
    this.poke();
  }

  /** Prefixes with a kernel route of ours. */
  get installed(): string[] {
    return [...this.#installed];
  }

  /** Something may have changed. */
  poke(): void {
    if (this.#poked || this.#carrier === undefined) return;
    this.#poked = true;
    void this.sync().catch((error: unknown) => this.#parts.log.error({ err: error }, "routes"));
  }

  /** Brings what is decided into force; what does not work is in the view. */
  sync(): Promise<void> {
    return this.#mutex.run(async () => {
      this.#poked = false;
      const carrier = this.#carrier;
      if (carrier?.announcements === undefined) return;
      const before = JSON.stringify(this.view());
      if (this.canOffer) await this.#syncOffers(carrier);
      await this.#syncRoutes(carrier);
      if (JSON.stringify(this.view()) !== before) this.#parts.onChange();
    });
  }

  view(): RoutesView {
    const routing = this.#routing();
    const offers = routing.offers.map((offer): OfferView => {
      const known = this.#offers.find((one) => announcedPrefix(one.offer) === announcedPrefix(offer));
      return known ?? { offer, state: "down", devices: [] };
    });
    const exit = routing.exit === undefined ? undefined : (this.#exit ?? nothingOffered(routing.exit));
    return { routing, offers, routes: this.#routes, ...(exit !== undefined && { exit }) };
  }

  /** The changes that a different routing would bring, a line each. */
  async plan(next: Routing): Promise<string[]> {
    const { door, config } = this.#parts;
    const { device } = config();
    const had = this.#routing();
    const isIn = (routing: Routing) => (offer: Offer) =>
      routing.offers.some((one) => announcedPrefix(one) === announcedPrefix(offer));
    const lines = [
      ...next.offers
        .filter((offer) => !isIn(had)(offer))
        .map((offer) => `offer ${announcedPrefix(offer)} to peers`),
      ...had.offers
        .filter((offer) => !isIn(next)(offer))
        .map((offer) => `offer ${announcedPrefix(offer)} to peers no more`),
    ];
    if (lines.length > 0 && next.offers.length > 0 && this.#offersOf === "") {
      lines.push(...(await door.plan(offerItems(device, next.offers))));
    }
    const carrier = this.#carrier;
    if (carrier === undefined) return lines;
    const { install } = decideRoutes(next, carrier.announcements?.() ?? [], this.#around(carrier));
    const added = install.filter((prefix) => !this.#installed.has(prefix));
    const removed = [...this.#installed].filter((prefix) => !install.includes(prefix));
    return [
      ...lines,
      ...added.map((prefix) => `add route ${prefix} over ${device}`),
      ...removed.map((prefix) => `remove route ${prefix} over ${device}`),
    ];
  }

  #routing(): Routing {
    return this.#parts.config().routing ?? noRouting;
  }

  #look(): void {
    const subnets = this.#attached().join();
    if (
      subnets === this.#subnets &&
      this.#failures.size === 0 &&
      this.#offers.every((one) => one.state === "offered") &&
      this.#exit?.state !== "failed"
    ) {
      // Whether the Internet is reached another way now is seen with the offer.
      if (this.#routing().exit !== undefined) this.poke();
      return;
    }
    this.#subnets = subnets;
    this.#failures.clear();
    const again = this.#offers.some((one) => one.state !== "offered") || this.#exit?.state === "failed";
    this.#offersOf = again ? "" : this.#offersOf;
    this.poke();
  }

  async #syncOffers(carrier: Carrier): Promise<void> {
    const { offers, exit } = this.#routing();
    const { config, door } = this.#parts;
    const ready = exit === undefined ? undefined : await prepareExit(exit, config(), door);
    const key = JSON.stringify([offers, this.#attached(), ready]);
    if (key !== this.#offersOf) {
      const brought = await this.#bringOffers(offers, ready);
      this.#offers = brought.offers;
      this.#exit = brought.exit;
      this.#offersOf = key;
    }
    const told = this.#offers
      .filter((one) => one.state === "offered")
      .map((one) => announcedPrefix(one.offer));
    this.#parts.onClients(this.#exit?.state === "offered" ? clientCheck(this.#exit.offer) : undefined);
    carrier.announce?.({ name: config().nodeName, exit: this.#announcedExit(carrier), routes: told });
  }

  #announcedExit(carrier: Carrier): Announcement["exit"] {
    const exit = this.#exit;
    if (exit?.state !== "offered") return { v4: false, v6: false };
    const { v4, v6 } = exit;
    return { v4, v6, seen: seenAs(exit, carrier.view().publicEndpoint) };
  }

  async #bringOffers(
    offers: readonly Offer[],
    exit: ReadyExit | undefined,
  ): Promise<{ offers: OfferView[]; exit?: ExitOfferView }> {
    const { door, forwarding, config } = this.#parts;
    const { name, device } = config();
    const part = `${name}/routes/offers`;
    if (offers.length === 0 && exit?.rules === undefined) {
      await forwarding.release(name);
      await door.undo(part);
      this.#itemsInForce = "";
      return { offers: [], ...(exit !== undefined && { exit: exit.view }) };
    }
    const local = await door.localPrefixes();
    const views = offers.map((offer): OfferView => {
      const near = devicesTowards(offer.prefix, local, device);
      // An exit node reaches every part of the Internet.
      const devices = near.length === 0 && isInternet(offer.prefix) ? (exit?.forwarded ?? []) : near;
      if (devices.length > 0) return { offer, state: "offered", devices };
      const reason = { code: "unreachable", message: `this machine has no route to ${offer.prefix}` };
      return { offer, state: "unreachable", devices, reason };
    });
    const ready = views.filter((one) => one.state === "offered");
    try {
      // First what keeps strangers out, then what lets packets through.
      const lans = [...new Set(ready.flatMap((one) => one.devices))];
      const rules = offerItems(
        device,
        ready.map((one) => one.offer),
        { lans, ...(exit?.rules !== undefined && { exit: exit.rules }) },
      );
      const items = [...(exit?.items ?? []), ...rules];
      // Not without need: between the old table and the new one everything would pass.
      if (JSON.stringify(items) !== this.#itemsInForce) {
        this.#itemsInForce = "";
        await door.apply(part, items);
        this.#itemsInForce = JSON.stringify(items);
      }
      const six = ready.some((one) => one.offer.prefix.includes(":"));
      await forwarding.want(name, device, [...new Set([...lans, ...(exit?.forwarded ?? [])])], six);
      return { offers: views, ...(exit !== undefined && { exit: exit.view }) };
    } catch (error) {
      await forwarding.release(name);
      await door.undo(part);
      this.#itemsInForce = "";
      const { code, message } = VpnError.from(error, "failed");
      this.#parts.log.error({ network: name, err: error }, "cannot offer subnets");
      const reason = { code, message };
      const failed = views.map((one) =>
        one.state === "offered" ? ({ ...one, state: "failed", reason } as const) : one,
      );
      if (exit === undefined) return { offers: failed };
      const view = exit.rules === undefined ? exit.view : failedExit(exit.view.offer, reason);
      return { offers: failed, exit: view };
    }
  }

  async #syncRoutes(carrier: Carrier): Promise<void> {
    const announced: AnnouncedPeer[] = carrier.announcements?.() ?? [];
    const more = this.#more(announced);
    const idle = more.size === 0 && !this.#hadMore && this.#installed.size === 0;
    this.#hadMore = more.size > 0;
    if (idle && announced.every((peer) => peer.what.routes.length === 0)) {
      // Of most networks, at each change of a peer.
      this.#routes = [];
      return;
    }
    const decided = decideRoutes(this.#routing(), announced, this.#around(carrier));
    carrier.setRoutes?.(together(decided.carriers, more));
    const { name, device } = this.#parts.config();
    const part = (prefix: string): string => `${name}/routes/to/${prefix}`;
    for (const prefix of [...this.#installed]) {
      if (decided.install.includes(prefix)) continue;
      await this.#parts.door.undo(part(prefix));
      this.#installed.delete(prefix);
    }
    for (const prefix of [...this.#failures.keys()]) {
      if (!decided.install.includes(prefix)) this.#failures.delete(prefix);
    }
    for (const prefix of decided.install) {
      if (this.#installed.has(prefix) || this.#failures.has(prefix)) continue;
      const item: Item = { kind: "route", device, prefix };
      try {
        await this.#parts.door.apply(part(prefix), [item]);
        this.#installed.add(prefix);
      } catch (error) {
        const { code, message } = VpnError.from(error, "failed");
        this.#failures.set(prefix, { code, message });
        this.#parts.log.warn({ network: name, prefix, err: error }, "cannot add a route");
      }
    }
    this.#routes = decided.routes.map((route) => {
      const reason = this.#failures.get(route.prefix);
      const wanted = route.state === "active" || route.state === "standby" || route.state === "offline";
      return reason !== undefined && wanted ? { ...route, state: "failed", reason } : route;
    });
  }

  /** What peers carry, or send from, besides subnets: as our exit node, or as clients of this one. */
  #more(announced: readonly AnnouncedPeer[]): ReadonlyMap<string, readonly string[]> {
    const exit = this.#exit;
    if (exit?.state !== "offered" || !exit.v6) return this.#carried;
    return together(this.#carried, clientAddresses(exit.offer, announced));
  }

  #around(carrier: Carrier) {
    const { asked } = this.#parts.config();
    const { peers, servers } = carrier.view();
    const endpoints = [
      ...peers.flatMap((peer) => peer.endpoints),
      ...servers.map((server) => server.address),
    ];
    const outside = [...new Set(endpoints.flatMap((text) => parseEndpoint(text)?.address ?? []))];
    return { virtualIp: asked.virtualIp, attached: this.#attached(), outside };
  }

  /** Own addresses in the network left out. */
  #attached(): string[] {
    const own = [this.#parts.config().asked.virtualIp, ...(this.#carrier?.addresses?.() ?? [])];
    return this.#parts
      .subnets()
      .map(({ address, length }) => `${address}/${length}`)
      .filter((text) => !own.includes(text));
  }
}

const failedExit = (offer: ExitOffer, reason: Reason): ExitOfferView => {
  return { ...nothingOffered(offer), state: "failed", reason };
};

/** Prefixes of both, by node key. */
function together(
  a: ReadonlyMap<string, readonly string[]>,
  b: ReadonlyMap<string, readonly string[]>,
): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const [key, prefixes] of [...a, ...b]) all.set(key, [...(all.get(key) ?? []), ...prefixes]);
  return all;
}
