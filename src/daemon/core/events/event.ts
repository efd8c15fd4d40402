import type { CarrierEvent } from "../carrier.js";

const eventTypes = ["up", "down", "path", "key", "error"] as const satisfies CarrierEvent["type"][];

export interface NetworkEvent extends CarrierEvent {
  /** Milliseconds since 1970. */
  at: number;
  network: string;
}

/** Names and reasons may come from other nodes: no event is longer than this, characters. */
const longestText = 300;

/** The year 9999: beyond it there is no RFC 3339. */
const lastTime = 253_402_300_799_000;

/** The event of one line of a file, or undefined for a line that is none. */
export function parseEvent(line: string): NetworkEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { at, network, message, type: word } = value;
  const type = eventTypes.find((known) => known === word);
  if (typeof at !== "number" || !(at >= 0 && at <= lastTime) || type === undefined) return undefined;
  if (typeof network !== "string" || typeof message !== "string") return undefined;
  const event: NetworkEvent = { at, type, network, message };
  const { peer, reason } = value;
  if (isObject(peer) && typeof peer.virtualIp === "string") {
    event.peer = { virtualIp: peer.virtualIp };
    if (typeof peer.name === "string") event.peer.name = peer.name;
  }
  if (isObject(reason) && typeof reason.code === "string" && typeof reason.message === "string") {
    event.reason = { code: reason.code, message: reason.message };
  }
  if (typeof value.repeats === "number" && value.repeats > 0 && value.repeats < 2 ** 32) {
    event.repeats = Math.floor(value.repeats);
  }
  for (const key of ["state", "path", "endpoint"] as const) {
    const text = value[key];
    if (typeof text === "string") event[key] = text;
  }
  return event;
}

/** One line with its end. */
export function formatEvent(event: NetworkEvent): string {
  const cut = (_: string, value: unknown): unknown =>
    typeof value === "string" ? value.slice(0, longestText) : value;
  return `${JSON.stringify(event, cut)}\n`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
