/** A resolv.conf of its own for a network namespace: `ip netns exec` mounts it for what it runs. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const netnsFolder = "/etc/netns";

const pathOf = (netns: string): string => join(netnsFolder, netns, "resolv.conf");

const routingNames = "/etc/iproute2";

/**
 * Only programs that start later see it. Names of routing tables are the namespace's own from then on, too: by using an exit node vpnd
 * changes both, and tests that run at the same time would take each other's name away.
 */
export function giveResolvConf(netns: string, text: string): void {
  mkdirSync(join(netnsFolder, netns), { recursive: true, mode: 0o755 });
  mkdirSync(routingNames, { recursive: true });
  cpSync(routingNames, routingNamesOf(netns), { recursive: true });
  writeFileSync(pathOf(netns), text, { mode: 0o644 });
}

/** Where the host has what the namespace sees as /etc/iproute2. */
export const routingNamesOf = (netns: string): string => join(netnsFolder, netns, "iproute2");

export function readResolvConf(netns: string): string {
  return readFileSync(pathOf(netns), "utf8");
}

/** Idempotent. */
export function takeResolvConf(netns: string): void {
  rmSync(join(netnsFolder, netns), { recursive: true, force: true });
}
