/** Sessions with peers that are not vpnd answer no probes: what is counted shows whether they live. */
import type { PeerCounters } from "../engine.js";
import { isLeader } from "./listing.js";
import type { Peer } from "./peer.js";
import { type Context, punch } from "./types.js";

const idleMs = 10_000;
const staleMs = 20_000;
const keepaliveMs = 10_000;

/** Looks at the counters of a foreign peer: one that hears us and says nothing is dialled again by who leads. */
export function onForeignCounters(peer: Peer, counters: PeerCounters, context: Context): void {
  const { now } = context.at;
  const { rxPackets, txPackets } = counters;
  if (peer.session.kind !== "live" || !peer.session.foreign) return;
  const last = peer.foreignCount;
  if (last === undefined || last.rxPackets !== rxPackets) {
    peer.foreignCount = { rxPackets, txPackets, since: now, idle: false };
    if (peer.redial === "stale") delete peer.redial;
    return;
  }
  last.idle = now - last.since >= idleMs;
  const unanswered = txPackets > last.txPackets && now - last.since >= staleMs;
  if (unanswered && isLeader(context.config, peer)) peer.redial ??= "stale";
}

/** From now on `keepOpen` has something to do. */
export function startKeepalive(peer: Peer, now: number): void {
  peer.keepaliveAt = now + keepaliveMs;
}

/** Only the leader keeps the NATs open to a foreign peer; nothing else is ever sent to one. */
export function keepOpen(peer: Peer, context: Context): void {
  const { now } = context.at;
  if (peer.keepaliveAt === undefined || peer.session.kind === "none" || now < peer.keepaliveAt) return;
  context.emit({ type: "send", to: peer.session.endpoint, data: punch });
  startKeepalive(peer, now);
}
