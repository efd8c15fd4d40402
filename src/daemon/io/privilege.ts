import { readFileSync, statSync } from "node:fs";
import { VpnError } from "../../common/errors.js";

/** Bit of CAP_NET_ADMIN in capability sets (linux/capability.h). */
const capNetAdmin = 12n;

/** Whether the effective capabilities in a /proc/PID/status text include CAP_NET_ADMIN. */
export function hasNetAdmin(status: string): boolean {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return hex !== undefined && ((BigInt(`0x${hex}`) >> capNetAdmin) & 1n) === 1n;
}

/** @throws VpnError `not-permitted` without CAP_NET_ADMIN */
export function requirePrivilege(): void {
  if (hasNetAdmin(readFileSync("/proc/self/status", "utf8"))) return;
  throw new VpnError("not-permitted", "vpnd needs root, or CAP_NET_ADMIN", {
    hint: "start it as a service: sudo systemctl start vpnd",
  });
}

/** Device number of the driver: major 10, minor 200 (linux/miscdevice.h). */
const tunDevice = (10 << 8) | 200;

/** @throws VpnError `failed` without the TUN driver's device file */
export function requireTunDriver(path = "/dev/net/tun"): void {
  try {
    const stat = statSync(path);
    if (stat.isCharacterDevice() && stat.rdev === tunDevice) return;
  } catch {
    // Missing: said below.
  }
  throw new VpnError("failed", `there is no ${path}`, {
    hint: "load the driver: modprobe tun (in a container: allow the device)",
  });
}
