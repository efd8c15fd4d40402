/**
 * Public endpoints that this node has had. A node that restarts or whose NAT forgets it meets its own old entry in the map
 * for up to 30 s; what is in this list is not another node.
 */
import type { Endpoint } from "../engine.js";

/** Serialisable as JSON. */
export interface OwnEndpoint {
  endpoint: Endpoint;
  /** When a server last confirmed it, milliseconds since 1970. */
  seen: number;
}

const keepMs = 60_000;
const maxKept = 16;

export class OwnEndpoints {
  /** Endpoint -> until when (monotonic milliseconds) it counts as our own. */
  readonly #until = new Map<Endpoint, number>();
  readonly #seen = new Map<Endpoint, number>();

  /** Stored endpoints count from `now` on: how long this node was away says nothing about when the server purges it. */
  constructor(stored: readonly OwnEndpoint[], now: number) {
    for (const { endpoint, seen } of stored.slice(-maxKept)) {
      this.#until.set(endpoint, now + keepMs);
      this.#seen.set(endpoint, seen);
    }
  }

  /** A server confirmed the endpoint. Returns whether the list to be stored changed. */
  confirm(endpoint: Endpoint, now: number, wall: number): boolean {
    const isNew = !this.#seen.has(endpoint);
    this.#until.delete(endpoint);
    this.#until.set(endpoint, now + keepMs);
    this.#seen.set(endpoint, wall);
    for (const [old, until] of this.#until) {
      if (this.#until.size <= maxKept && until > now) break;
      if (old === endpoint) continue;
      this.#until.delete(old);
      this.#seen.delete(old);
    }
    return isNew;
  }

  has(endpoint: Endpoint, now: number): boolean {
    return (this.#until.get(endpoint) ?? 0) > now;
  }

  list(): OwnEndpoint[] {
    return [...this.#seen].map(([endpoint, seen]) => ({ endpoint, seen }));
  }
}

/** Own endpoints out of stored JSON; entries that are none are left out. */
export function readOwnEndpoints(stored: unknown): OwnEndpoint[] {
  return Array.isArray(stored) ? stored.filter(isOwnEndpoint) : [];
}

function isOwnEndpoint(value: unknown): value is OwnEndpoint {
  if (typeof value !== "object" || value === null) return false;
  const own: Partial<Record<keyof OwnEndpoint, unknown>> = value;
  return typeof own.endpoint === "string" && Number.isFinite(own.seen);
}
