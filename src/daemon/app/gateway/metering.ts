/** What clients of users with quotas moved, counted against these; the data plane ends each quota to the packet. */
import type { HubCounters } from "../../core/gateway/hub.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import type { Client } from "./client.js";
import type { Clients } from "./clients.js";
import type { Limit, Measured } from "./station-calls.js";

export interface MeteringParts {
  clients: Clients;
  measure: () => Promise<Measured[]>;
  /** As `StationCalls.limit`. */
  limit: (station: number, limits: readonly Limit[]) => Promise<void>;
  /** A client of the user moved so many bytes. @returns what is left of the quota, bytes; undefined: there is none */
  spend: (user: GatewayUser, bytes: number) => number | undefined;
}

export class Metering {
  readonly #parts: MeteringParts;

  constructor(parts: MeteringParts) {
    this.#parts = parts;
  }

  /**
   * Counts, and deals out what is left among a user's connections, so that together they never move more.
   * @returns users who have connections and nothing left
   */
  async look(): Promise<ReadonlySet<string>> {
    const { clients, measure, limit } = this.#parts;
    if (this.#metered().length === 0) return new Set();
    for (const { id, counters } of await measure()) {
      const client = clients.get(id);
      if (client !== undefined) this.spend(client, counters);
    }
    const metered = this.#metered();
    const connections = new Map<string, number>();
    for (const { user } of metered) connections.set(user, (connections.get(user) ?? 0) + 1);
    const over = new Set<string>();
    const limits = new Map<number, Limit[]>();
    for (const client of metered) {
      const left = this.spend(client);
      if (left === 0) over.add(client.user);
      if (left === undefined || client.metered === undefined) continue;
      const share = Math.floor(left / (connections.get(client.user) ?? 1));
      const ofStation = limits.get(client.station) ?? [];
      ofStation.push({ id: client.id, bytes: client.metered.counted + share });
      limits.set(client.station, ofStation);
    }
    await Promise.all([...limits].map(([station, some]) => limit(station, some)));
    return over;
  }

  /**
   * What a client may move that is about to be added.
   * @returns undefined: as much as it likes; 0: the user's other connections have to give something up first, in the next `look`
   */
  firstLimit(user: GatewayUser | undefined): number | undefined {
    if (user?.quota === undefined) return undefined;
    return this.#metered().some((one) => one.user === user.name) ? 0 : this.#parts.spend(user, 0);
  }

  /** @param counters absent: as before @returns what is left for the client's user, bytes; undefined: there is no quota */
  spend({ metered }: Client, counters?: HubCounters): number | undefined {
    if (metered === undefined) return undefined;
    // Answers may come late, after others.
    const bytes = Math.max(metered.counted, counters?.passedBytes ?? 0);
    const more = bytes - metered.counted;
    metered.counted = bytes;
    return this.#parts.spend(metered.user, more);
  }

  #metered(): Client[] {
    return this.#parts.clients.all().filter((one) => one.metered !== undefined && one.state === "up");
  }
}
