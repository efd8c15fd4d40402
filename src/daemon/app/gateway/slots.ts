/** The devices of a gateway's slots: made ahead of their clients, and used again after them. */
import type { AddressPlan } from "../../core/gateway/addresses.js";
import { devicePrefix } from "../../core/gateway/nat.js";

export interface SlotParts {
  plan: AddressPlan;
  /** Of the devices, bytes. */
  mtu: number;
  /** By which the kernel knows them all. */
  group: number;
  openDevice: (device: { name: string; mtu: number; group: number; addresses: readonly string[] }) => {
    fd: number;
  };
  closeFd: (fd: number) => void;
}

export class Slots {
  readonly #parts: SlotParts;
  /** Descriptors of devices that nobody uses, by slot. */
  readonly #ready = new Map<number, number>();

  constructor(parts: SlotParts) {
    this.#parts = parts;
  }

  /** Makes the device of a slot ahead. @throws as `openDevice` */
  prepare(slot: number): void {
    if (!this.#ready.has(slot)) this.#ready.set(slot, this.#open(slot));
  }

  /** The descriptor of the slot's device, the caller's from here. @throws as `openDevice` */
  take(slot: number): number {
    const fd = this.#ready.get(slot);
    this.#ready.delete(slot);
    return fd ?? this.#open(slot);
  }

  /** It is not used any more. */
  giveBack(slot: number, fd: number): void {
    this.#ready.set(slot, fd);
  }

  /** How many wait for a client. */
  get ready(): number {
    return this.#ready.size;
  }

  isReady(slot: number): boolean {
    return this.#ready.has(slot);
  }

  /** Closes those that nobody uses. */
  close(): void {
    for (const fd of this.#ready.values()) this.#parts.closeFd(fd);
    this.#ready.clear();
  }

  #open(slot: number): number {
    const { plan, mtu, group, openDevice } = this.#parts;
    return openDevice({ name: deviceOf(slot), mtu, group, addresses: plan.at(slot).gateway }).fd;
  }
}

export const deviceOf = (slot: number): string => `${devicePrefix}${slot}`;
