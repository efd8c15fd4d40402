import type { Event } from "../../common/gen/vpnd/v1/event_pb.js";
import { reasonJson } from "./network-documents.js";
import { filled, type Json, rfc3339, timestampMs } from "./present.js";
import { notes, printable } from "./table.js";

const typeWidth = 5;

/** One event on one line: when, in which network, what. The peer is named in the message. */
export function eventLine(event: Event): string {
  const reason = event.reason?.code ?? "";
  const told = event.message + (reason === "" ? "" : ` (${reason})`);
  const cells = [when(event), event.network, event.type.padEnd(typeWidth), told];
  return `${cells.map(printable).join("  ")}\n`;
}

/** @param limit how many were asked for; 0: all */
export function eventsText(events: readonly Event[], limit: number): string {
  if (events.length === 0) return notes(["nothing happened yet"]);
  const more = limit > 0 && events.length >= limit ? [`the newest ${limit}; more: --since 7d`] : [];
  return events.map(eventLine).join("") + notes(more);
}

export function eventJson(event: Event): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.event/v1",
    time: rfc3339(event.time),
    type: event.type,
    network: event.network,
    peer: event.peer && { virtualIp: event.peer.virtualIp, name: filled(event.peer.name) },
    state: filled(event.state),
    reason: reasonJson(event.reason),
    path: filled(event.path),
    endpoint: filled(event.endpoint),
    repeats: event.repeats > 0 ? event.repeats : undefined,
    message: event.message,
  };
}

/** To the second; a day's events are compared by eye. */
function when({ time }: Event): string {
  return time === undefined ? "-" : new Date(timestampMs(time)).toISOString().replace(/\.\d+Z$/, "Z");
}
