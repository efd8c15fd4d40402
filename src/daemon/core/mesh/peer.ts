/**
 * One peer: its session (does a tunnel live?) and its attempt (are we dialling?). The two are apart because a peer is
 * dialled while its tunnel lives (rekey) and while it is silent.
 *
 *     session:  none --up--> live <--alive/silent--> silent       live, silent --closed or removed--> none
 *     attempt:  idle --dial--> dialling --failed--> waiting --time--> dialling      any --up--> idle
 *
 * `live` does not mean that the other side is there, only that it was less than `deadAfterMs` ago (for foreign peers: once).
 */
import type { PeerState, Reason } from "../carrier.js";
import type { Assoc, Endpoint, EpochId, PeerId, Role, Tag } from "../engine.js";
import { hostPrefix } from "./address.js";
import type { MapEntry, Moment } from "./types.js";

interface Established {
  assoc: Assoc;
  endpoint: Endpoint;
  role: Role;
  foreign: boolean;
  cipher: string;
  epoch: EpochId;
}

export type Session =
  | { kind: "none" }
  | (Established & { kind: "live" })
  | (Established & { kind: "silent"; silentSince: number });

/** `epoch` absent: the preferred one. */
export interface Target {
  to: Endpoint;
  epoch?: EpochId;
}

export interface Dial {
  to: Endpoint;
  epoch: EpochId;
  since: number;
  /** Its HELLO or foreign handshake was admitted; only `up` or `failed` is missing. */
  admitted: boolean;
}

export type Attempt =
  | { kind: "idle" }
  | { kind: "dialling"; running: Map<Tag, Dial>; queue: Target[]; nextAt: number }
  | { kind: "waiting"; until: number };

/** Why a peer with a living session is dialled all the same. */
export type Redial = "rekey" | "stale" | "moved" | "epoch";

/** What stands between us and a peer. `refused`: it said no, or its key is wrong; otherwise it just did not work. */
export interface Problem {
  reason: Reason;
  refused: boolean;
  /** Forgotten then, monotonic milliseconds. */
  until: number;
}

/** What was counted when a foreign peer was last heard; it answers no probes. */
export interface ForeignCount {
  rxPackets: number;
  txPackets: number;
  since: number;
  idle: boolean;
}

/** What the world was told of a peer; cheap to compare with what it is now. */
export interface Shown {
  state: PeerState;
  endpoint: Endpoint | undefined;
  nodeKey: string | undefined;
  problem: Problem | undefined;
  reason: Reason | undefined;
}

export interface Peer {
  readonly id: PeerId;
  /** First the one that stands on the map. */
  virtualIps: string[];
  /** Lower-case hex; absent before the first HELLO and for foreign peers. */
  nodeKey?: string;
  name?: string;
  sequence: bigint;
  /** Prefixes besides its own addresses that it carries for us. */
  routes?: readonly string[];
  /** Where the map shows it, newest first; empty: nowhere. */
  listed: readonly MapEntry[];
  /** Since when an answering server's map lacks it. */
  missingSince?: number;
  session: Session;
  attempt: Attempt;
  /** Attempts that failed in a row. */
  failures: number;
  redial?: Redial;
  /** Not dialled before this time, nor before a map that is newer. */
  holdUntil?: number;
  rekeyAt?: number;
  keepaliveAt?: number;
  foreignCount?: ForeignCount;
  problem?: Problem;
  /** Since when it should have dialled us, monotonic milliseconds. */
  awaitedSince?: number;
  /** Wall clock, for display. */
  lastHandshake?: number;
  /** What was shown last. */
  shown: Shown;
  /** Since when it has its state, wall clock. */
  since: number;
  pathChanges: number;
  /** Since when it is offline, monotonic milliseconds. */
  offlineSince?: number;
}

export function newPeer(id: PeerId, virtualIp: string, at: Moment): Peer {
  return {
    id,
    virtualIps: [virtualIp],
    sequence: 0n,
    listed: [],
    session: { kind: "none" },
    attempt: { kind: "idle" },
    failures: 0,
    shown: {
      state: "offline",
      endpoint: undefined,
      nodeKey: undefined,
      problem: undefined,
      reason: undefined,
    },
    since: at.wall,
    pathChanges: 0,
    offlineSince: at.now,
  };
}

export function virtualIpOf(peer: Peer): string {
  return peer.virtualIps[0] ?? "";
}

/** All that the engine takes from and gives to it. */
export function prefixesOf(peer: Peer): string[] {
  return [...peer.virtualIps.map(hostPrefix), ...(peer.routes ?? [])];
}

/** Name for people: the node's name, else its virtual IP. */
export function labelOf(peer: Peer): string {
  return peer.name ?? virtualIpOf(peer);
}

export function stateOf(peer: Peer, now: number): PeerState {
  if (peer.session.kind === "live") return "up";
  if (peer.session.kind === "silent") return "connecting";
  if (peer.holdUntil !== undefined) return "offline";
  if (problemOf(peer, now)?.refused === true) return "refused";
  return peer.listed.length > 0 ? "connecting" : "offline";
}

export function problemOf(peer: Peer, now: number): Problem | undefined {
  return peer.problem !== undefined && peer.problem.until > now ? peer.problem : undefined;
}

export function reasonOf(peer: Peer, now: number): Reason | undefined {
  const state = stateOf(peer, now);
  if (state === "up") return undefined;
  if (peer.session.kind === "silent") {
    return { code: "timeout", message: "the peer stopped answering; reconnecting" };
  }
  if (state === "offline") {
    const gone = peer.holdUntil === undefined ? "no rendezvous server lists it" : "it said goodbye";
    return { code: "offline", message: gone };
  }
  return problemOf(peer, now)?.reason;
}

/** Endpoints known for a peer, the one in use first, then newest first. */
export function endpointsOf(peer: Peer): Endpoint[] {
  const used = peer.session.kind === "none" ? [] : [peer.session.endpoint];
  return [...new Set([...used, ...peer.listed.map((entry) => entry.publicEndpoint)])];
}
