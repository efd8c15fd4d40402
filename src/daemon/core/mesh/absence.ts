/** Peers that are not there: missing from the maps, gone for long, or silent though they have to start the handshake. */
import { isLeader } from "./listing.js";
import { type Peer, problemOf } from "./peer.js";
import type { Context } from "./types.js";

const missingCloseMs = 35_000;
/** A foreign peer may just have had nothing to say. */
const missingForeignCloseMs = 10_000;
const forgetOfflineMs = 600_000;
/** A peer that has to dial us and has not done so for this long cannot reach us. */
const awaitedTooLongMs = 15_000;
const awaitedProblemMs = 90_000;

/** When the session of a peer that the maps lack is given up, monotonic milliseconds; infinity: never. */
export function closesAt({ session, missingSince, foreignCount }: Peer): number {
  if (session.kind === "none" || missingSince === undefined) return Number.POSITIVE_INFINITY;
  if (session.kind === "silent") return missingSince;
  const idleForeign = session.foreign && foreignCount?.idle === true;
  return missingSince + (idleForeign ? missingForeignCloseMs : missingCloseMs);
}

/**
 * Notes since when it is offline. Peers that vanished are shown for ten minutes more.
 * @returns whether these are over
 */
export function noteOffline(peer: Peer, now: number): boolean {
  if (peer.session.kind !== "none" || peer.listed.length > 0) {
    delete peer.offlineSince;
    return false;
  }
  peer.offlineSince ??= now;
  return now - peer.offlineSince >= forgetOfflineMs;
}

/** The smaller address only waits: says why nothing comes of it. */
export function awaitHandshake(peer: Peer, context: Context): void {
  const { now } = context.at;
  const awaited =
    peer.session.kind === "none" &&
    peer.listed.length > 0 &&
    peer.holdUntil === undefined &&
    !isLeader(context.config, peer);
  if (!awaited) {
    delete peer.awaitedSince;
    return;
  }
  peer.awaitedSince ??= now;
  if (now - peer.awaitedSince < awaitedTooLongMs || problemOf(peer, now) !== undefined) return;
  const message =
    "no handshake from the peer, which has to start it; a firewall may block UDP between here and there";
  peer.problem = { reason: { code: "timeout", message }, refused: false, until: now + awaitedProblemMs };
  context.emit({ type: "changed" });
}

/** When one of the above changes by itself, monotonic milliseconds. */
export function absenceWakeAt(peer: Peer, now: number): number {
  let at = closesAt(peer);
  if (peer.awaitedSince !== undefined && problemOf(peer, now) === undefined) {
    at = Math.min(at, peer.awaitedSince + awaitedTooLongMs);
  }
  if (peer.offlineSince !== undefined) at = Math.min(at, peer.offlineSince + forgetOfflineMs);
  return at;
}
