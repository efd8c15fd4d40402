/**
 * The server without its sockets and clock: datagrams and times in, effects out. It never answers a datagram; all it ever
 * sends is the map, to registered nodes.
 */
import type { AddressFilter } from "./address-filter.js";
import type { RendezvousCodec } from "./codec.js";
import { LogBudget } from "./log-budget.js";
import { type MapCause, MapSchedule, type MapTiming } from "./map-schedule.js";
import { Registry, type RegistryLimits, type Source } from "./registry.js";

/** What became of a datagram. */
export const datagramResults = [
  "accepted",
  "malformed",
  "oversize",
  "forbidden",
  "full",
  "map-full",
] as const;
export type DatagramResult = (typeof datagramResults)[number];

/** One map datagram for each receiver: `shared`, then its own tail. */
export interface MapEffect {
  type: "map";
  cause: MapCause;
  shared: Uint8Array;
  receivers: { to: Source; tail: Uint8Array }[];
}

export type Effect =
  | MapEffect
  | { type: "datagram"; result: DatagramResult }
  | { type: "purged"; count: number }
  | { type: "log"; level: "info" | "warn"; message: string; fields: Record<string, string | number> };

export interface RendezvousOptions extends RegistryLimits, MapTiming {
  allowed: AddressFilter;
}

export const paperTiming: MapTiming & { purgeAfterMs: number } = {
  periodMs: 5000,
  purgeAfterMs: 30_000,
  minChangeGapMs: 50,
  changeBytesPerSecond: 12_500_000,
};

const logLines = 20;
const logWindowMs = 10_000;

type LogKind = "node" | Exclude<DatagramResult, "accepted">;

export class Rendezvous {
  readonly #codec: RendezvousCodec;
  readonly #allowed: AddressFilter;
  readonly #registry: Registry;
  readonly #schedule: MapSchedule;
  readonly #nodeLog = new LogBudget<LogKind>(logLines, logWindowMs);
  readonly #rejectLog = new LogBudget<LogKind>(1, logWindowMs);

  constructor(codec: RendezvousCodec, options: RendezvousOptions) {
    this.#codec = codec;
    this.#allowed = options.allowed;
    this.#registry = new Registry(codec, options);
    this.#schedule = new MapSchedule(options);
  }

  /** Registered nodes. */
  get size(): number {
    return this.#registry.size;
  }

  /** When `tick` has something to do next; undefined: never, as things are. */
  get nextAt(): number | undefined {
    const purge = this.#registry.nextPurgeAt;
    const map = this.#schedule.nextAt;
    return purge === undefined ? map : Math.min(purge, map ?? purge);
  }

  datagram(from: Source, data: Uint8Array, now: number): Effect[] {
    const effects: Effect[] = [];
    const result = this.#admit(from, data, now, effects);
    effects.push({ type: "datagram", result });
    if (result !== "accepted") this.#logRejected(result, from, now, effects);
    return effects.concat(this.tick(now));
  }

  /** Does what is due. */
  tick(now: number): Effect[] {
    const effects: Effect[] = [];
    this.#purge(now, effects);
    const cause = this.#schedule.due(now);
    if (cause !== undefined) effects.push(this.#map(cause, now));
    return effects;
  }

  #admit(from: Source, data: Uint8Array, now: number, effects: Effect[]): DatagramResult {
    // Other nodes could do nothing with a link-local address.
    if (from.address.includes("%") || !this.#allowed(from.address)) return "forbidden";
    // No answer could reach port 0.
    if (from.port === 0) return "malformed";
    const decoded = this.#codec.decodeClaim(data);
    if (!decoded.ok) return decoded.reason;
    const admission = this.#registry.heard(from, decoded.value, now);
    switch (admission.result) {
      case "full":
      case "map-full":
        return admission.result;
      case "known":
        return "accepted";
      case "joined":
      case "changed": {
        this.#schedule.change();
        const was = admission.was === undefined ? {} : { was: admission.was };
        const fields = { virtualIp: decoded.value.virtualIp, endpoint: from.endpoint, ...was };
        this.#logNode(`node ${admission.result}`, fields, now, effects);
        return "accepted";
      }
    }
  }

  #purge(now: number, effects: Effect[]): void {
    const gone = this.#registry.purge(now);
    if (gone.length === 0) return;
    effects.push({ type: "purged", count: gone.length });
    for (const { source, claim } of gone) {
      const fields = { virtualIp: claim.virtualIp, endpoint: source.endpoint };
      this.#logNode("node purged: no heartbeat", fields, now, effects);
    }
    if (this.#registry.size === 0) this.#schedule.idle();
    else this.#schedule.change();
  }

  #map(cause: MapCause, now: number): MapEffect {
    const { shared, receivers } = this.#registry.map();
    const tailed = receivers.map((to, index) => ({ to, tail: this.#codec.encodeTail(index) }));
    this.#schedule.sent(now, shared.length * receivers.length);
    return { type: "map", cause, shared, receivers: tailed };
  }

  #logNode(message: string, fields: Record<string, string | number>, now: number, effects: Effect[]): void {
    const allowed = this.#nodeLog.ask("node", now);
    if (allowed === undefined) return;
    effects.push({ type: "log", level: "info", message, fields: { ...fields, ...suppressedField(allowed) } });
  }

  #logRejected(
    reason: Exclude<DatagramResult, "accepted">,
    from: Source,
    now: number,
    effects: Effect[],
  ): void {
    const allowed = this.#rejectLog.ask(reason, now);
    if (allowed === undefined) return;
    const fields = { reason, from: from.endpoint, ...suppressedField(allowed) };
    effects.push({ type: "log", level: "warn", message: "datagram refused", fields });
  }
}

function suppressedField(allowed: { suppressed: number }): Record<string, number> {
  return allowed.suppressed === 0 ? {} : { suppressed: allowed.suppressed };
}
