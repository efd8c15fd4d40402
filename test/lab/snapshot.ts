/** What a host's network consists of, as text, to show that nothing was left behind. */
import assert from "node:assert/strict";
import type { Machine } from "./machine.js";

export async function snapshot(machine: Machine): Promise<string> {
  const commands: [string, ...string[]][] = [
    ["ip", "-br", "link"],
    ["ip", "-br", "addr"],
    ["ip", "route", "show", "table", "all"],
    ["ip", "-6", "route", "show", "table", "all"],
    ["ip", "rule"],
    ["ip", "-6", "rule"],
    ["nft", "list", "ruleset"],
    ["sh", "-c", "sysctl -a 2>/dev/null | grep -E '^net\\.ipv[46]\\.(ip_forward|conf)'"],
    ["cat", "/etc/resolv.conf"],
  ];
  const parts: string[] = [];
  for (const [command, ...args] of commands) {
    const { stdout } = await machine.exec(command, args);
    parts.push(`$ ${command} ${args.join(" ")}`, stdout.trimEnd());
  }
  return parts.join("\n");
}

/** Lines that only one of two snapshots has, marked + (now) and - (before); empty if they are alike. */
export function difference(before: string, now: string): string[] {
  const old = new Set(before.split("\n"));
  const fresh = new Set(now.split("\n"));
  return [
    ...[...fresh].filter((line) => !old.has(line)).map((line) => `+ ${line}`),
    ...[...old].filter((line) => !fresh.has(line)).map((line) => `- ${line}`),
  ];
}

/** Fails with the lines that differ. */
export async function assertUnchanged(machine: Machine, before: string): Promise<void> {
  assert.deepEqual(difference(before, await snapshot(machine)), [], `${machine.name} is not as it was`);
}
