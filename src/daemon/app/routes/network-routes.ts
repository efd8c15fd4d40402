import type { Logger } from "pino";
import { parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import type { AnnouncedPeer, Carrier, Reason } from "../../core/carrier.js";
import type { NetworkConfig } from "../../core/network/config.js";
import { decideRoutes, type RouteView } from "../../core/routes/decide.js";
import { devicesTowards } from "../../core/routes/devices.js";
import { offerItems } from "../../core/routes/offer-items.js";
import { announcedPrefix, noRouting, type Offer, type Routing } from "../../core/routes/routing.js";
import type { Item } from "../../core/system/items.js";
import type { SystemDoor } from "../../io/system/door.js";
import { Mutex } from "../mutex.js";
import type { Forwarding } from "./forwarding.js";

export interface RoutesParts {
  door: SystemDoor;
  forwarding: Forwarding;
  /** Addresses of this machine's interfaces with the lengths of their subnets. */
  subnets: () => { address: string; length: number }[];
  config: () => NetworkConfig;
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
  #routes: RouteView[] = [];
  /** Prefixes with a kernel route of ours. */
  readonly #installed = new Set<string>();
  readonly #failures = new Map<string, Reason>();
  #subnets = "";

  constructor(parts: RoutesParts) {
    this.#parts = parts;
  }

  /** Whether the carrier can have routes at all. */
  get possible(): boolean {
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
      this.#routes = [];
    });
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
      if (carrier?.announce === undefined) return;
      const before = JSON.stringify(this.view());
      await this.#syncOffers(carrier);
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
    return { routing, offers, routes: this.#routes };
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
      this.#offers.every((one) => one.state === "offered")
    ) {
      return;
    }
    this.#subnets = subnets;
    this.#failures.clear();
    this.#offersOf = this.#offers.some((one) => one.state !== "offered") ? "" : this.#offersOf;
    this.poke();
  }

  async #syncOffers(carrier: Carrier): Promise<void> {
    const { offers } = this.#routing();
    const key = JSON.stringify([offers, this.#attached()]);
    if (key !== this.#offersOf) {
      this.#offers = await this.#bringOffers(offers);
      this.#offersOf = key;
    }
    const told = this.#offers
      .filter((one) => one.state === "offered")
      .map((one) => announcedPrefix(one.offer));
    const { nodeName } = this.#parts.config();
    carrier.announce?.({ name: nodeName, exit: { v4: false, v6: false }, routes: told });
  }

  async #bringOffers(offers: readonly Offer[]): Promise<OfferView[]> {
    const { door, forwarding, config } = this.#parts;
    const { name, device } = config();
    const part = `${name}/routes/offers`;
    if (offers.length === 0) {
      await forwarding.release(name);
      await door.undo(part);
      return [];
    }
    const local = await door.localPrefixes();
    const views = offers.map((offer): OfferView => {
      const devices = devicesTowards(offer.prefix, local, device);
      if (devices.length > 0) return { offer, state: "offered", devices };
      const reason = { code: "unreachable", message: `this machine has no route to ${offer.prefix}` };
      return { offer, state: "unreachable", devices, reason };
    });
    const ready = views.filter((one) => one.state === "offered");
    try {
      // First what keeps strangers out, then what lets packets through.
      await door.apply(
        part,
        offerItems(
          device,
          ready.map((one) => one.offer),
        ),
      );
      const lans = [...new Set(ready.flatMap((one) => one.devices))];
      const six = ready.some((one) => one.offer.prefix.includes(":"));
      await forwarding.want(name, device, lans, six);
      return views;
    } catch (error) {
      await forwarding.release(name);
      await door.undo(part);
      const { code, message } = VpnError.from(error, "failed");
      this.#parts.log.error({ network: name, err: error }, "cannot offer subnets");
      return views.map((one) =>
        one.state === "offered" ? { ...one, state: "failed", reason: { code, message } } : one,
      );
    }
  }

  async #syncRoutes(carrier: Carrier): Promise<void> {
    const announced: AnnouncedPeer[] = carrier.announcements?.() ?? [];
    if (this.#installed.size === 0 && announced.every((peer) => peer.what.routes.length === 0)) {
      // Of most networks, at each change of a peer.
      this.#routes = [];
      return;
    }
    const decided = decideRoutes(this.#routing(), announced, this.#around(carrier));
    carrier.setRoutes?.(decided.carriers);
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

  /** Own address in the network left out. */
  #attached(): string[] {
    const own = this.#parts.config().asked.virtualIp;
    return this.#parts
      .subnets()
      .map(({ address, length }) => `${address}/${length}`)
      .filter((text) => text !== own);
  }
}
