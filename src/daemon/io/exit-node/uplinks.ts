/** The way to the Internet as the kernel's main table has it. Read from /proc: it is looked at often. */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { canonicalAddress } from "../../../common/endpoint.js";
import { isPublic } from "../../core/exit-node/addresses.js";

export interface Uplinks {
  /** Devices with a default route. */
  4: string[];
  6: string[];
}

const up = 0x1;
const refuses = 0x200;

/** @param own devices of tunnels, which do not count */
export function readUplinks(own: readonly string[]): Uplinks {
  const others = (devices: string[]): string[] =>
    [...new Set(devices)].filter((device) => device !== "lo" && !own.includes(device)).sort();
  return {
    4: others(defaultDevices4(read("/proc/self/net/route"))),
    6: others(defaultDevices6(read("/proc/self/net/ipv6_route"))),
  };
}

/** The first public address of each family on these devices. */
export function publicAddresses(devices: readonly string[]): { 4?: string; 6?: string } {
  const found: { 4?: string; 6?: string } = {};
  for (const [device, addresses] of Object.entries(networkInterfaces())) {
    if (!devices.includes(device)) continue;
    for (const { address } of addresses ?? []) {
      const canonical = canonicalAddress(address);
      if (canonical === undefined || !isPublic(canonical)) continue;
      if (canonical.includes(":")) found[6] ??= canonical;
      else found[4] ??= canonical;
    }
  }
  return found;
}

const noHardware = "00:00:00:00:00:00";

/**
 * CIDR of each address of an interface on a network with others; tunnels and loopback are none.
 * @param own devices of tunnels of ours
 */
export function etherAddresses(own: readonly string[]): string[] {
  return Object.entries(networkInterfaces()).flatMap(([device, addresses]) => {
    if (own.includes(device)) return [];
    return (addresses ?? []).flatMap(({ cidr, internal, mac, address }) =>
      internal || mac === noHardware || cidr === null || address.startsWith("fe80:") ? [] : [cidr],
    );
  });
}

/** Lines: device, destination, gateway, flags, three counters, mask, …; numbers are hexadecimal. */
export function defaultDevices4(text: string): string[] {
  return rows(text).flatMap(([device = "", to, , flags = "", , , , mask]) =>
    to === "00000000" && mask === "00000000" && isWay(flags) ? [device] : [],
  );
}

/** Lines: destination, its length, source, its length, gateway, metric, two counters, flags, device. */
export function defaultDevices6(text: string): string[] {
  return rows(text).flatMap(([to = "", length, , , , , , , flags = "", device = ""]) =>
    /^0{32}$/.test(to) && length === "00" && isWay(flags) ? [device] : [],
  );
}

const isWay = (flags: string): boolean => (Number.parseInt(flags, 16) & (up | refuses)) === up;
const rows = (text: string): string[][] => text.split("\n").map((line) => line.trim().split(/\s+/));

/** Empty without the address family. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
