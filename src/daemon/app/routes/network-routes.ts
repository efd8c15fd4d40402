import { parseEndpoint } from "../../../common/endpoint.js";
import type { AnnouncedPeer, Carrier } from "../../core/carrier.js";
import { decideRoutes, type RouteView } from "../../core/routes/decide.js";
import { offerItems } from "../../core/routes/offer-items.js";
import { announcedPrefix, noRouting, type Offer, type Routing } from "../../core/routes/routing.js";
import { clientAddresses, type ExitOfferView } from "../exit-node/exit-offer.js";
import { Mutex } from "../mutex.js";
import { KernelRoutes } from "./kernel-routes.js";
import { type OffersParts, type OfferView, OwnOffers } from "./own-offers.js";

export interface RoutesParts extends OffersParts {
  /** Addresses of this machine's interfaces with the lengths of their subnets. */
  subnets: () => { address: string; length: number }[];
  onChange: () => void;
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
  readonly #offers: OwnOffers;
  readonly #taken: KernelRoutes;
  #carrier: Carrier | undefined;
  #timer: NodeJS.Timeout | undefined;
  #poked = false;
  #routes: RouteView[] = [];
  /** Default routes that a peer carries as this machine's exit node, by node key. */
  #carried: ReadonlyMap<string, readonly string[]> = new Map();
  #hadMore = false;
  #subnets = "";

  constructor(parts: RoutesParts) {
    this.#parts = parts;
    this.#offers = new OwnOffers(parts);
    this.#taken = new KernelRoutes(parts);
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
      await this.#offers.stop();
      await this.#parts.door.undo(`${name}/routes`);
      this.#taken.forget();
      this.#routes = [];
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
    return [...this.#taken.installed];
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
      if (this.canOffer) await this.#offers.sync(carrier, this.#routing(), this.#attached());
      await this.#syncRoutes(carrier);
      if (JSON.stringify(this.view()) !== before) this.#parts.onChange();
    });
  }

  view(): RoutesView {
    const routing = this.#routing();
    return { routing, ...this.#offers.view(routing), routes: this.#routes };
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
    if (lines.length > 0 && next.offers.length > 0 && this.#offers.untouched) {
      lines.push(...(await door.plan(offerItems(device, next.offers))));
    }
    const carrier = this.#carrier;
    if (carrier === undefined) return lines;
    const { install } = decideRoutes(next, carrier.announcements?.() ?? [], this.#around(carrier));
    return [...lines, ...this.#taken.plan(install)];
  }

  #routing(): Routing {
    return this.#parts.config().routing ?? noRouting;
  }

  #look(): void {
    const subnets = this.#attached().join();
    if (subnets === this.#subnets && this.#taken.well && this.#offers.well) {
      // Whether the Internet is reached another way now is seen with the offer.
      if (this.#routing().exit !== undefined) this.poke();
      return;
    }
    this.#subnets = subnets;
    this.#taken.tryAgain();
    this.#offers.tryAgain();
    this.poke();
  }

  async #syncRoutes(carrier: Carrier): Promise<void> {
    const announced: AnnouncedPeer[] = carrier.announcements?.() ?? [];
    const more = this.#more(announced);
    const idle = more.size === 0 && !this.#hadMore && this.#taken.installed.size === 0;
    this.#hadMore = more.size > 0;
    if (idle && announced.every((peer) => peer.what.routes.length === 0)) {
      // Of most networks, at each change of a peer.
      this.#routes = [];
      return;
    }
    const decided = decideRoutes(this.#routing(), announced, this.#around(carrier));
    carrier.setRoutes?.(together(decided.carriers, more));
    await this.#taken.sync(decided.install);
    this.#routes = decided.routes.map((route) => {
      const reason = this.#taken.failure(route.prefix);
      const wanted = route.state === "active" || route.state === "standby" || route.state === "offline";
      return reason !== undefined && wanted ? { ...route, state: "failed", reason } : route;
    });
  }

  /** What peers carry, or send from, besides subnets: as our exit node, or as clients of this one. */
  #more(announced: readonly AnnouncedPeer[]): ReadonlyMap<string, readonly string[]> {
    const { exit } = this.#offers;
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

/** Prefixes of both, by node key. */
function together(
  a: ReadonlyMap<string, readonly string[]>,
  b: ReadonlyMap<string, readonly string[]>,
): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const [key, prefixes] of [...a, ...b]) all.set(key, [...(all.get(key) ?? []), ...prefixes]);
  return all;
}
