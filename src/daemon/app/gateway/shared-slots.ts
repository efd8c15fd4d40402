/** The slots of a gateway whose clients have one device together. */
import { devicePrefix } from "../../core/gateway/nat.js";
import type { GatewayPlatform } from "./platform.js";
import type { SlotDevices, SlotParts } from "./slots.js";

export const sharedDevice = `${devicePrefix}all`;

export interface SharedSlotParts extends Pick<SlotParts, "plan" | "mtu" | "group"> {
  platform: Pick<GatewayPlatform, "openSharedDevice" | "closeFd">;
}

/** Stations have queues of the device, which is made with the first slot; no slot has anything to take or give back. */
export class SharedSlots implements SlotDevices {
  readonly #parts: SharedSlotParts;
  /** Keeps the device while no station has it. */
  #fd: number | undefined;

  constructor(parts: SharedSlotParts) {
    this.#parts = parts;
  }

  prepare(): void {
    const { plan, mtu, group, platform } = this.#parts;
    this.#fd ??= platform.openSharedDevice({ name: sharedDevice, mtu, group, addresses: plan.whole }).fd;
  }

  take(): undefined {}

  giveBack(): void {}

  count(): number {
    return 1;
  }

  nameOf(): string {
    return sharedDevice;
  }

  close(): void {
    if (this.#fd !== undefined) this.#parts.platform.closeFd(this.#fd);
    this.#fd = undefined;
  }
}
