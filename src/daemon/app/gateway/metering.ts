/** What clients of users with quotas moved, counted against these. */
import type { EngineCounters } from "../../core/engine.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import type { Client } from "./client.js";
import type { Clients } from "./clients.js";
import type { Measured } from "./station-calls.js";

export interface MeteringParts {
  clients: Clients;
  measure: () => Promise<Measured[]>;
  /** A client of the user moved so many bytes. @returns whether there is something left of the quota */
  spend: (user: GatewayUser, bytes: number) => boolean;
}

export class Metering {
  readonly #parts: MeteringParts;

  constructor(parts: MeteringParts) {
    this.#parts = parts;
  }

  /** @returns users who have connections and nothing left */
  async look(): Promise<ReadonlySet<string>> {
    const { clients, measure } = this.#parts;
    const metered = clients.all().filter((one) => one.metered !== undefined);
    if (metered.length === 0) return new Set();
    for (const { id, counters } of await measure()) {
      const client = clients.get(id);
      if (client !== undefined) this.spend(client, counters);
    }
    return new Set(metered.filter((one) => one.state === "up" && !this.spend(one)).map((one) => one.user));
  }

  /** @param counters absent: as before @returns whether there is something left for the client's user */
  spend({ metered }: Client, counters?: EngineCounters): boolean {
    if (metered === undefined) return true;
    const counted = counters === undefined ? 0 : counters.rxBytes + counters.txBytes;
    // Answers may come late, after others.
    const bytes = Math.max(metered.counted, counted);
    const more = bytes - metered.counted;
    metered.counted = bytes;
    return this.#parts.spend(metered.user, more);
  }
}
