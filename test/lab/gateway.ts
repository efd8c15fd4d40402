/** A gateway as its users see it by vpnctl: its clients, whom it refused, users and their tokens. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "./command.js";
import type { Host } from "./lab.js";
import type { Daemon } from "./programs.js";

/** One of `vpnctl gateway clients --json`. */
export interface Client {
  id: number;
  user?: string;
  name?: string;
  device: string;
  addresses: string[];
  state: string;
  rxPackets: number;
  txPackets: number;
  drops: Record<string, number>;
  quotaLeft?: number;
}

export interface GatewayDocument {
  schema: string;
  state: string;
  users: number;
  clients?: Client[];
  refused?: Record<string, number>;
  notes: string[];
}

/** @returns the path of a file with the token on that host */
export function tokenFile(host: Host, name: string, token: string): string {
  const path = join(host.folder, name);
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  return path;
}

export async function clients(gateway: Daemon): Promise<Client[]> {
  return (await gateway.json<GatewayDocument>(["gateway", "clients"])).clients ?? [];
}

/** How many were not served, by reason. */
export async function refusals(gateway: Daemon): Promise<Record<string, number>> {
  return (await gateway.json<GatewayDocument>(["gateway", "clients"])).refused ?? {};
}

/** The first client of which that is true, as soon as there is one. */
export function client(gateway: Daemon, condition: (one: Client) => boolean, what: string): Promise<Client> {
  let last: Client[] = [];
  return waitFor(
    async () => {
      last = await clients(gateway);
      return last.find(condition);
    },
    20_000,
    what,
    () => last,
  );
}

/** @returns the token */
export async function addUser(gateway: Daemon, name: string, ...more: string[]): Promise<string> {
  return (await gateway.json<{ token: string }>(["gateway", "user", "add", name, ...more])).token;
}
