/** The devices of a gateway's clients: made at once, thrown away together. */
import { loadAddon } from "../../../common/addon.js";
import { closeFd, openTun } from "../native.js";

/** What native/napi/client_devices.cc exports. */
interface Addon {
  detachQueue(tunFd: number): void;
  setUpClientDevice(options: {
    name: string;
    mtu: number;
    group: number;
    addresses: readonly string[];
  }): void;
  deleteDevices(group: number): void;
  forgetFlows(sources: readonly string[]): void;
}

const addon = (): Addon => loadAddon() as Addon;

export interface ClientDevice {
  name: string;
  /** Bytes. */
  mtu: number;
  /** By which the devices of one gateway are known to the kernel; 1 to 2^31 - 1. */
  group: number;
  /** CIDR. */
  addresses: readonly string[];
}

/**
 * Makes a TUN that is up, silent, forwarding, and has its addresses. It ends with its descriptor.
 * @throws VpnError as `openTun`, or Error with the system's code
 */
export function openClientDevice(device: ClientDevice): { fd: number } {
  return open(device, false);
}

/**
 * The same for a TUN that hubs have together (`PortHub.share`). The descriptor keeps the device; no packets come to it.
 * @throws as `openClientDevice`
 */
export function openSharedDevice(device: ClientDevice): { fd: number } {
  return open(device, true);
}

function open(device: ClientDevice, shared: boolean): { fd: number } {
  const { fd } = openTun({ name: device.name, multiQueue: shared });
  try {
    addon().setUpClientDevice(device);
    if (shared) addon().detachQueue(fd);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return { fd };
}

/** Removes all devices of a group in one step; their descriptors are to be closed by whoever has them. */
export function deleteClientDevices(group: number): void {
  addon().deleteDevices(group);
}

/** Makes the kernel forget the connections that hosts in these prefixes opened, with their translation. */
export function forgetFlows(sources: readonly string[]): void {
  addon().forgetFlows(sources);
}
