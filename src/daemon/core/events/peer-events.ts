import type { CarrierEvent, PeerView, Reason } from "../carrier.js";
import { unknownAddress } from "../tcp/other-end.js";

/** What an event of a peer can be about, at one moment. */
export type PeerSnapshot = Pick<
  PeerView,
  "virtualIp" | "name" | "state" | "reason" | "path" | "endpoint" | "nodeKey"
>;

/** The differences between one moment of a peer and the next. `endpoint`: of its session. */
export function peerEvents(before: PeerSnapshot, now: PeerSnapshot): CarrierEvent[] {
  const events: CarrierEvent[] = [];
  const { state, path, endpoint } = now;
  const rest = { peer: whoOf(now), state, ...(now.reason && { reason: now.reason }) };
  const where = { path, ...(endpoint === undefined ? {} : { endpoint }) };
  if (before.nodeKey !== undefined && now.nodeKey !== undefined && before.nodeKey !== now.nodeKey) {
    events.push({ ...rest, type: "key", message: `${label(now)} has another node key` });
  }
  if (state === "up") {
    if (before.state !== "up") {
      events.push({ ...rest, ...where, type: "up", message: `${label(now)} is up (${path})` });
    } else if (before.path !== path || before.endpoint !== endpoint) {
      const from = before.path === path ? (before.endpoint ?? "?") : before.path;
      const to = before.path === path ? (endpoint ?? "?") : path;
      events.push({ ...rest, ...where, type: "path", message: `${label(now)}: path ${from} -> ${to}` });
    }
    return events;
  }
  const why = now.reason === undefined ? "" : `: ${now.reason.message}`;
  if (before.state === "up" || (before.state !== state && state === "offline")) {
    events.push({ ...rest, type: "down", message: `${label(now)} is ${state}${why}` });
  } else if (now.reason !== undefined && isTrouble(now) && before.reason?.code !== now.reason.code) {
    events.push({ ...rest, type: "error", message: `${label(now)} is ${state}${why}` });
  }
  return events;
}

/** The end of a peer that was up and is known no more. */
export function peerGone(peer: PeerSnapshot, reason: Reason): CarrierEvent {
  return { type: "down", peer: whoOf(peer), state: "offline", reason, message: `${label(peer)} is gone` };
}

/** A peer that is away is no trouble; one that is there and can't be reached is. */
function isTrouble({ state }: PeerSnapshot): boolean {
  return state === "refused" || state === "connecting";
}

function whoOf({ virtualIp, name }: PeerSnapshot): { virtualIp: string; name?: string } {
  return name === undefined ? { virtualIp } : { virtualIp, name };
}

function label({ virtualIp, name }: PeerSnapshot): string {
  if (name === undefined) return virtualIp;
  return virtualIp === unknownAddress ? name : `${name} (${virtualIp})`;
}
