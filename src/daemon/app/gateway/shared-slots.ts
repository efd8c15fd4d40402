/** The slots of a gateway whose clients have one device together. */
import { devicePrefix } from "../../core/gateway/nat.js";
import type { SlotDevices } from "./slots.js";

export const sharedDevice = `${devicePrefix}all`;

/** Its station has the device, so that no slot has anything to make, take or give back. */
export const sharedSlots: SlotDevices = {
  prepare: () => {},
  take: () => undefined,
  giveBack: () => {},
  count: () => 1,
  nameOf: () => sharedDevice,
  close: () => {},
};
