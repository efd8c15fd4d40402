/** The clients of a gateway that runs, by id and by slot. */
import type { Client } from "./client.js";

export class Clients {
  /** Also those that are away, whose devices their station keeps. */
  readonly #byId = new Map<number, Client>();
  readonly #bySlot = new Map<number, Client>();

  get size(): number {
    return this.#byId.size;
  }

  all(): Client[] {
    return [...this.#byId.values()];
  }

  get(id: number): Client | undefined {
    return this.#byId.get(id);
  }

  at(slot: number): Client | undefined {
    return this.#bySlot.get(slot);
  }

  add(client: Client): void {
    this.#byId.set(client.id, client);
    this.#bySlot.set(client.slot, client);
  }

  /** Another one may have its slot by now; that one stays. */
  remove({ id, slot }: Client): void {
    this.#byId.delete(id);
    if (this.#bySlot.get(slot)?.id === id) this.#bySlot.delete(slot);
  }

  clear(): void {
    this.#byId.clear();
    this.#bySlot.clear();
  }
}
