/** The devices of a gateway's slots: made ahead of their clients, and used again after them. */
import type { AddressPlan } from "../../core/gateway/addresses.js";
import { devicePrefix } from "../../core/gateway/nat.js";
import type { GatewayPlatform } from "./platform.js";

export interface SlotParts {
  plan: AddressPlan;
  /** Of the devices, bytes. */
  mtu: number;
  /** By which the kernel knows them all. */
  group: number;
  platform: Pick<GatewayPlatform, "openClientDevice" | "closeFd">;
}

/** Where clients' packets leave the gateway. */
export interface SlotDevices {
  /** Makes the device of a slot ahead. @throws as `openClientDevice` */
  prepare(slot: number): void;
  /** @returns the descriptor of the slot's device, the caller's from here; undefined: it has none of its own @throws as `openClientDevice` */
  take(slot: number): number | undefined;
  /** It is not used any more. */
  giveBack(slot: number, fd: number): void;
  /** How many devices there are, when so many clients have one. */
  count(clients: number): number;
  nameOf(slot: number): string;
  /** Closes those that nobody uses. */
  close(): void;
}

/** Each slot has a device of its own. */
export class Slots implements SlotDevices {
  readonly #parts: SlotParts;
  /** Descriptors of devices that nobody uses, by slot. */
  readonly #ready = new Map<number, number>();

  constructor(parts: SlotParts) {
    this.#parts = parts;
  }

  prepare(slot: number): void {
    if (!this.#ready.has(slot)) this.#ready.set(slot, this.#open(slot));
  }

  take(slot: number): number {
    const fd = this.#ready.get(slot);
    this.#ready.delete(slot);
    return fd ?? this.#open(slot);
  }

  giveBack(slot: number, fd: number): void {
    this.#ready.set(slot, fd);
  }

  count(clients: number): number {
    return clients + this.#ready.size;
  }

  nameOf(slot: number): string {
    return `${devicePrefix}${slot}`;
  }

  close(): void {
    for (const fd of this.#ready.values()) this.#parts.platform.closeFd(fd);
    this.#ready.clear();
  }

  #open(slot: number): number {
    const { plan, mtu, group, platform } = this.#parts;
    const addresses = plan.at(slot).gateway;
    return platform.openClientDevice({ name: this.nameOf(slot), mtu, group, addresses }).fd;
  }
}
