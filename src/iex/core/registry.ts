/** Who is in the mesh, at which endpoint, and since when. Times are milliseconds of a clock that never goes back. */
import type { Claim, RendezvousCodec } from "./codec.js";

/** Where a datagram came from, canonical, and by which of the server's sockets. */
export interface Source {
  endpoint: string;
  address: string;
  port: number;
  via: number;
}

export interface Node {
  source: Source;
  claim: Claim;
}

export type Admission =
  | { result: "known" }
  /** The map is another now. `was`: the virtual IP before, if it changed. */
  | { result: "joined" | "changed"; node: Node; was?: string }
  /** Refused: `full` by number of nodes, `map-full` because the map would not fit into its datagram. */
  | { result: "full" | "map-full" };

export interface RegistryLimits {
  maxNodes: number;
  /** Silence after which a node is gone. */
  purgeAfterMs: number;
}

interface Entry extends Node {
  /** The node's part of the map. */
  part: Uint8Array;
  /** Grows with each registration. */
  registration: number;
  lastSeenMs: number;
}

export class Registry {
  readonly #codec: RendezvousCodec;
  readonly #limits: RegistryLimits;
  /** By endpoint; the order is that of the last heartbeat, longest silent first. */
  readonly #entries = new Map<string, Entry>();
  #partBytes = 0;
  #registrations = 0;

  constructor(codec: RendezvousCodec, limits: RegistryLimits) {
    this.#codec = codec;
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** When the next node is due for removal; undefined: there are none. */
  get nextPurgeAt(): number | undefined {
    for (const entry of this.#entries.values()) return entry.lastSeenMs + this.#limits.purgeAfterMs;
    return undefined;
  }

  /** A heartbeat. A node that changes its virtual IP registers anew at the same endpoint. */
  heard(source: Source, claim: Claim, now: number): Admission {
    const old = this.#entries.get(source.endpoint);
    if (old !== undefined && sameClaim(old.claim, claim)) {
      this.#put({ ...old, source, lastSeenMs: now });
      return { result: "known" };
    }
    if (old === undefined && this.#entries.size >= this.#limits.maxNodes) return { result: "full" };
    const part = this.#codec.encodeNode(claim, source.endpoint, source.port);
    const count = this.#entries.size + (old === undefined ? 1 : 0);
    const bytes = this.#partBytes - (old?.part.length ?? 0) + part.length;
    if (this.#codec.mapSize(count, bytes) > this.#codec.maxMapBytes) return { result: "map-full" };
    const moved = old?.claim.virtualIp !== claim.virtualIp;
    const registration = old === undefined || moved ? ++this.#registrations : old.registration;
    this.#put({ source, claim, part, registration, lastSeenMs: now });
    const node = { source, claim };
    if (old === undefined) return { result: "joined", node };
    return { result: "changed", node, ...(moved ? { was: old.claim.virtualIp } : {}) };
  }

  /** Removes and returns those that were silent for too long. */
  purge(now: number): Node[] {
    const gone: Node[] = [];
    for (const entry of this.#entries.values()) {
      if (now - entry.lastSeenMs < this.#limits.purgeAfterMs) break;
      this.#remove(entry);
      gone.push(entry);
    }
    return gone;
  }

  /** The map's shared part, and its receivers in its order: the newest registration first, so that peers try that first. */
  map(): { shared: Uint8Array; receivers: Source[] } {
    const entries = [...this.#entries.values()].sort((a, b) => b.registration - a.registration);
    return {
      shared: this.#codec.joinNodes(entries.map((entry) => entry.part)),
      receivers: entries.map((entry) => entry.source),
    };
  }

  #put(entry: Entry): void {
    const old = this.#entries.get(entry.source.endpoint);
    if (old !== undefined) this.#remove(old);
    this.#entries.set(entry.source.endpoint, entry);
    this.#partBytes += entry.part.length;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.source.endpoint);
    this.#partBytes -= entry.part.length;
  }
}

function sameClaim(a: Claim, b: Claim): boolean {
  return (
    a.virtualIp === b.virtualIp &&
    a.privateIp?.address === b.privateIp?.address &&
    a.privateIp?.port === b.privateIp?.port
  );
}
