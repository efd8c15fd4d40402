import type { HubDestinations, PortHub } from "../../core/gateway/hub.js";
import type { ClientDevice } from "../../io/gateway/devices.js";
import type { Platform } from "../platform.js";

/** What a gateway needs of the native addon. */
export interface GatewayPlatform extends Pick<Platform, "makeSocket" | "closeFd"> {
  createPortHub(destinations: HubDestinations): PortHub;
  openClientDevice(device: ClientDevice): { fd: number };
  openSharedDevice(device: ClientDevice): { fd: number };
  deleteClientDevices(group: number): void;
  /** Makes the kernel forget connections that hosts in these prefixes opened. */
  forgetFlows(sources: readonly string[]): void;
}
