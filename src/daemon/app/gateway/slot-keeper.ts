/** The slots of a gateway from one client to the next: nothing of what was for the one before may reach the one after. */
import type { Logger } from "pino";
import type { AddressPlan } from "../../core/gateway/addresses.js";
import type { Client } from "./client.js";
import type { Clients } from "./clients.js";
import { hostPrefix } from "./grant.js";
import { SlotQueue } from "./slot-queue.js";
import type { SlotDevices } from "./slots.js";
import type { Farewell, Released } from "./station-calls.js";

export interface SlotKeeperParts {
  plan: AddressPlan;
  /** How many slots there are. */
  count: number;
  devices: SlotDevices;
  clients: Clients;
  /** Whether somebody has the slot, or it is kept for somebody. */
  isTaken: (slot: number) => boolean;
  /** As `StationCalls.release`. */
  release: (station: number, id: number, farewell: Farewell) => Promise<Released>;
  /** The client is none any more. */
  onReleased: (client: Client, released: Released) => void;
  /** Makes the kernel forget connections that hosts in these prefixes opened. @throws Error with the system's code */
  forgetFlows: (sources: readonly string[]) => void;
  log: Logger;
}

/** So many devices are made ahead of clients. */
const madeAhead = 8;

export class SlotKeeper {
  readonly #parts: SlotKeeperParts;
  readonly #queue = new SlotQueue();

  constructor(parts: SlotKeeperParts) {
    this.#parts = parts;
  }

  /** Before the first client: the kernel may remember connections of those whom a former vpnd served. */
  forgetFormer(subnets: readonly string[]): void {
    this.#forget(subnets);
  }

  /** Makes devices of the next slots that nobody has. @throws as `SlotDevices.prepare` */
  makeAhead(): void {
    const { count, isTaken, clients, devices } = this.#parts;
    let left = madeAhead;
    for (let slot = 0; slot < count && left > 0; slot++) {
      if (isTaken(slot) || clients.at(slot) !== undefined) continue;
      left -= 1;
      devices.prepare(slot);
    }
  }

  /**
   * Hands the slot over to a client.
   * @param resumed the client had it before
   * @param farewell to whoever has it: the same client's old connection, or somebody who is away and has to give way
   * @param give gets the slot's device; undefined: it has none of its own
   * @throws as `SlotDevices.take`, and as `give`
   */
  handOver<T>(
    slot: number,
    resumed: boolean,
    farewell: Farewell,
    give: (fd: number | undefined) => T,
  ): Promise<T> {
    const { clients, devices } = this.#parts;
    return this.#queue.run([slot], async () => {
      const before = clients.at(slot);
      const left = before && (await this.#takeBack(before, farewell));
      if (before !== undefined && !resumed) this.#forgetFlows([slot]);
      return give(left ?? devices.take(slot));
    });
  }

  /** These are clients no more, and their slots are for others. */
  recycle(leaving: readonly Client[], farewell: Farewell): Promise<void> {
    const { clients, devices } = this.#parts;
    const slots = leaving.map(({ slot }) => slot);
    if (slots.length === 0) return Promise.resolve();
    return this.#queue.run(slots, async () => {
      // Meanwhile another may have taken one of them over.
      const left = leaving.filter(({ id }) => clients.get(id) !== undefined);
      const back = left.map(async (client) => {
        const fd = await this.#takeBack(client, farewell);
        if (fd !== undefined) devices.giveBack(client.slot, fd);
      });
      await Promise.all(back);
      this.#forgetFlows(left.map(({ slot }) => slot));
    });
  }

  /** @returns the client's device */
  async #takeBack(client: Client, farewell: Farewell): Promise<number | undefined> {
    const { clients, release, onReleased } = this.#parts;
    clients.remove(client);
    const released = await release(client.station, client.id, farewell);
    onReleased(client, released);
    return released.fd;
  }

  #forgetFlows(slots: readonly number[]): void {
    const { plan } = this.#parts;
    if (slots.length > 0) this.#forget(slots.flatMap((slot) => plan.at(slot).client.map(hostPrefix)));
  }

  #forget(sources: readonly string[]): void {
    const { forgetFlows, log } = this.#parts;
    try {
      forgetFlows(sources);
    } catch (error) {
      log.warn({ err: error }, "flows of former gateway clients could not be ended");
    }
  }
}
