/** A resolv.conf of its own for a network namespace: `ip netns exec` mounts it for what it runs. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const netnsFolder = "/etc/netns";

const pathOf = (netns: string): string => join(netnsFolder, netns, "resolv.conf");

/** Only programs that start later see it. */
export function giveResolvConf(netns: string, text: string): void {
  mkdirSync(join(netnsFolder, netns), { recursive: true, mode: 0o755 });
  writeFileSync(pathOf(netns), text, { mode: 0o644 });
}

export function readResolvConf(netns: string): string {
  return readFileSync(pathOf(netns), "utf8");
}

/** Idempotent. */
export function takeResolvConf(netns: string): void {
  rmSync(join(netnsFolder, netns), { recursive: true, force: true });
}
