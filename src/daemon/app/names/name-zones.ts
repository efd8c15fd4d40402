import type { Zone } from "../../core/names/respond.js";

/** The names of all running networks of this vpnd: the machine itself may ask any of them for all. */
export class NameZones {
  readonly #zones = new Map<string, () => Zone>();

  set(network: string, zone: () => Zone): void {
    this.#zones.set(network, zone);
  }

  delete(network: string): void {
    this.#zones.delete(network);
  }

  all(): Zone[] {
    return [...this.#zones.values()].map((zone) => zone());
  }
}
