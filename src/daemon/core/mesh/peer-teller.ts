import type { CarrierEvent, PeerState, Reason } from "../carrier.js";
import { type PeerSnapshot, peerEvents, peerGone } from "../events/peer-events.js";
import { labelOf, type Peer, problemOf, reasonOf, type Shown, stateOf, virtualIpOf } from "./peer.js";
import type { Context } from "./types.js";

const logLevelOf: Record<PeerState, "info" | "warn"> = {
  up: "info",
  connecting: "info",
  idle: "info",
  offline: "info",
  refused: "warn",
};

/** Tells the world what becomes of peers. Looks after each input, so that nothing can happen between two looks. */
export class PeerTeller {
  /** Of all peers that ever were. */
  pathChanges = 0;

  look(peer: Peer, context: Context): void {
    const { now, wall } = context.at;
    const { shown, session, nodeKey } = peer;
    const state = stateOf(peer, now);
    const endpoint = session.kind === "none" ? undefined : session.endpoint;
    const problem = problemOf(peer, now);
    if (
      state === shown.state &&
      endpoint === shown.endpoint &&
      nodeKey === shown.nodeKey &&
      problem === shown.problem
    ) {
      return;
    }
    const fresh: Shown = { state, endpoint, nodeKey, problem, reason: reasonOf(peer, now) };
    peer.shown = fresh;
    for (const event of peerEvents(snapshot(peer, shown), snapshot(peer, fresh))) {
      if (event.type === "path") {
        peer.pathChanges += 1;
        this.pathChanges += 1;
      }
      context.tell(event);
    }
    if (state === shown.state) return;
    peer.since = wall;
    context.emit({ type: "changed" });
    context.emit({
      type: "log",
      level: logLevelOf[state],
      message: `peer ${labelOf(peer)} is ${state}`,
      fields: {
        virtualIp: virtualIpOf(peer),
        state,
        ...(fresh.reason === undefined ? {} : { reason: fresh.reason.code }),
      },
    });
  }
}

/** The event of a peer that is about to be forgotten, or of all at the end; undefined: it was not up. */
export function goneEvent(peer: Peer, reason: Reason): CarrierEvent | undefined {
  return peer.shown.state === "up" ? peerGone(snapshot(peer, peer.shown), reason) : undefined;
}

/** A peer as an event shows it. */
export function whoIs(peer: Peer): NonNullable<CarrierEvent["peer"]> {
  return { virtualIp: virtualIpOf(peer), ...(peer.name !== undefined && { name: peer.name }) };
}

function snapshot(peer: Peer, { state, endpoint, nodeKey, reason }: Shown): PeerSnapshot {
  return {
    virtualIp: virtualIpOf(peer),
    ...(peer.name !== undefined && { name: peer.name }),
    state,
    path: endpoint === undefined ? "none" : "direct",
    ...(endpoint !== undefined && { endpoint }),
    ...(nodeKey !== undefined && { nodeKey }),
    ...(reason !== undefined && { reason }),
  };
}
