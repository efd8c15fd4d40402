/** What this node offers its peers: subnets behind it, and itself as an exit node. */
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Carrier, Reason } from "../../core/carrier.js";
import { isInternet } from "../../core/exit-node/addresses.js";
import type { ExitOffer } from "../../core/exit-node/offer.js";
import type { NetworkConfig } from "../../core/network/config.js";
import type { Announcement } from "../../core/routes/announcement.js";
import { devicesTowards } from "../../core/routes/devices.js";
import { offerItems } from "../../core/routes/offer-items.js";
import { announcedPrefix, type Offer, type Routing } from "../../core/routes/routing.js";
import type { SystemDoor } from "../../io/system/door.js";
import {
  clientCheck,
  type ExitOfferView,
  nothingOffered,
  prepareExit,
  type ReadyExit,
  seenAs,
} from "../exit-node/exit-offer.js";
import type { Forwarding } from "./forwarding.js";

export interface OffersParts {
  door: SystemDoor;
  forwarding: Forwarding;
  config: () => NetworkConfig;
  /** Who may ask this node for all names, by source address: clients of an exit node; undefined: nobody. */
  onClients: (allowed: ((source: string) => boolean) | undefined) => void;
  log: Logger;
}

/** `unreachable`: this machine has no way to it now, so it is not announced. */
export interface OfferView {
  offer: Offer;
  state: "offered" | "unreachable" | "failed" | "down";
  devices: readonly string[];
  reason?: Reason;
}

/** Offers of one running network, and the changes to the machine that they need. */
export class OwnOffers {
  readonly #parts: OffersParts;
  #offers: OfferView[] = [];
  #exit: ExitOfferView | undefined;
  /** Offers and interfaces as they were when `#offers` was made of them. */
  #madeOf = "";
  /** The door's items for offers, as they are on the machine. */
  #itemsInForce = "";

  constructor(parts: OffersParts) {
    this.#parts = parts;
  }

  /** This node as an exit node, if it is one and the network runs. */
  get exit(): ExitOfferView | undefined {
    return this.#exit;
  }

  /** Nothing was brought into force since the network runs. */
  get untouched(): boolean {
    return this.#madeOf === "";
  }

  /** Each one is as it should be. */
  get well(): boolean {
    return this.#offers.every((one) => one.state === "offered") && this.#exit?.state !== "failed";
  }

  view({ offers, exit }: Routing): { offers: OfferView[]; exit?: ExitOfferView } {
    const views = offers.map((offer): OfferView => {
      const known = this.#offers.find((one) => announcedPrefix(one.offer) === announcedPrefix(offer));
      return known ?? { offer, state: "down", devices: [] };
    });
    if (exit === undefined) return { offers: views };
    return { offers: views, exit: this.#exit ?? nothingOffered(exit) };
  }

  /** What is not as it should be is tried again at the next `sync`. */
  tryAgain(): void {
    if (!this.well) this.#madeOf = "";
  }

  /** The network stops: peers know, or will. */
  async stop(): Promise<void> {
    await this.#parts.forwarding.release(this.#parts.config().name);
    this.#offers = [];
    this.#exit = undefined;
    this.#madeOf = "";
    this.#itemsInForce = "";
  }

  /**
   * Brings what is decided into force and says it to peers; what does not work is in the view.
   * @param attached CIDR of each interface of this machine
   */
  async sync(carrier: Carrier, { offers, exit }: Routing, attached: readonly string[]): Promise<void> {
    const { config, door } = this.#parts;
    const ready = exit === undefined ? undefined : await prepareExit(exit, config(), door);
    const key = JSON.stringify([offers, attached, ready]);
    if (key !== this.#madeOf) {
      const brought = await this.#bring(offers, ready);
      this.#offers = brought.offers;
      this.#exit = brought.exit;
      this.#madeOf = key;
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

  async #bring(
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
}

const failedExit = (offer: ExitOffer, reason: Reason): ExitOfferView => {
  return { ...nothingOffered(offer), state: "failed", reason };
};
