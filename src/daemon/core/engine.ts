/**
 * What the mesh engine (native/, or the simulator's stand-in) is to the rest of vpnd: commands in, events out.
 * No packet crosses this interface. Wire formats: docs/wire.md.
 */

import type { EngineFilter } from "./filter/engine-filter.js";

/** "ADDR:PORT" or "[ADDR]:PORT" of a UDP endpoint; canonical text, so that equal endpoints are equal strings. */
export type Endpoint = string;

/** Chosen by the caller, unique within an engine, never 0; stands for one peer for as long as the caller keeps it. */
export type PeerId = number;

/** One DTLS association, numbered by the engine. */
export type Assoc = number;

/** One PSK in the engine's eyes. Chosen by the caller, never 0, never used again for another PSK. */
export type EpochId = number;

/** Chosen by the caller for one `connect`; comes back in every event that the attempt causes. 0: not ours (incoming). */
export type Tag = number;

export type Role = "client" | "server";

/** Reasons of REFUSE (docs/wire.md), both sent and received. */
export const refusals = {
  version: 1,
  "no-cipher": 2,
  signature: 3,
  pinned: 4,
  conflict: 5,
  "unexpected-key": 6,
  "bad-record": 7,
  excluded: 8,
} as const;
export type Refusal = keyof typeof refusals;

/** Why a handshake ended without a session. */
export type HandshakeFailure =
  | "timeout"
  | "wrong-psk"
  | "refused"
  | "alert"
  | "hello-timeout"
  | "aborted"
  | "overload"
  /** The HELLO does not belong to this handshake: its sender lacks the node key, or somebody is in the middle. */
  | "signature";

export type EngineEvent =
  /** A datagram for TypeScript: Badger JSON or iex/v1. */
  | { type: "datagram"; from: Endpoint; data: Uint8Array }
  /** An authentic HELLO; nothing flows until `admit`. Answer with `admit` or `refuse`. */
  | {
      type: "hello";
      assoc: Assoc;
      tag: Tag;
      role: Role;
      endpoint: Endpoint;
      nodeKey: Uint8Array;
      record: Uint8Array;
      capabilities: number;
      /** Under whose keys the handshake ran: they open the record. */
      epoch: EpochId;
    }
  /** A finished handshake with a foreign peer (`--badger`); nothing flows until `admit`. Comes again, at most once a second,
   *  with `innerSource` when such a peer sends IP packets before it is admitted. */
  | {
      type: "foreign";
      assoc: Assoc;
      tag: Tag;
      role: Role;
      endpoint: Endpoint;
      epoch: EpochId;
      innerSource?: string;
    }
  /** The peer's session carries packets both ways. `rekey`: it replaced a living one. */
  | {
      type: "up";
      peer: PeerId;
      assoc: Assoc;
      tag: Tag;
      role: Role;
      endpoint: Endpoint;
      cipher: string;
      epoch: EpochId;
      foreign: boolean;
      rekey: boolean;
    }
  /** A handshake of ours or an incoming one ended without a session. `refusal`: what the other side said. */
  | {
      type: "failed";
      assoc: Assoc;
      tag: Tag;
      endpoint: Endpoint;
      reason: HandshakeFailure;
      refusal?: Refusal;
      alert?: number;
    }
  /** A hint while the attempt goes on: the other side's PSK is not ours. Rate-limited. */
  | { type: "wrong-psk"; tag: Tag; role: Role; endpoint: Endpoint }
  /** The session ended by the other side's CLOSE or close_notify. */
  | { type: "closed"; peer: PeerId; assoc: Assoc; reason: number }
  /** Probes unanswered for `deadAfterMs`; the session stays until it is replaced, removed or `alive` again. */
  | { type: "silent"; peer: PeerId }
  | { type: "alive"; peer: PeerId }
  /** The peer's address changed and the new one answered a challenge. */
  | { type: "path"; peer: PeerId; endpoint: Endpoint }
  /** Answer to `ping`. */
  | { type: "pong"; peer: PeerId; token: bigint; rttSeconds: number }
  /** A control message that the engine does not know. */
  | { type: "control"; peer: PeerId; data: Uint8Array }
  /** Records sent under one key near their limit: handshake again. */
  | { type: "rekey-due"; peer: PeerId };

/** What one PSK gives (docs/wire.md). */
export interface EngineEpoch {
  id: EpochId;
  dtlsPsk: Uint8Array;
  identityKey: Uint8Array;
  probePsk: Uint8Array;
  /** Network id, 32 bytes. */
  networkId: Uint8Array;
  /** Signed node record as sent in HELLO, sealed with this epoch's keys. */
  record: Uint8Array;
}

export interface EngineIdentity {
  badger: boolean;
  /** Ed25519 seed of the node key, 32 bytes. */
  nodeSeed: Uint8Array;
  /** Accepted PSK epochs, the preferred one first. */
  epochs: readonly EngineEpoch[];
}

/** Counters since the peer was made; bytes are inner bytes. */
export interface PeerCounters {
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  /** Smoothed; absent before the first answer and for foreign peers. */
  rttSeconds?: number;
  /** Seconds since the last authentic record; absent if there was none. */
  idleSeconds?: number;
  /** Seconds since the last finished handshake. */
  handshakeAgeSeconds?: number;
  /** Largest inner packet that the path is known to carry, bytes; absent without a session. */
  mtu?: number;
  endpoint?: Endpoint;
  cipher?: string;
}

export interface EngineCounters {
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  /** Packets and datagrams dropped, by reason (docs/metrics.md); also counted oddities such as `punch`. */
  drops: Record<string, number>;
}

/** Who may protect records; "auto": libipsec-mb where it can, otherwise OpenSSL. */
export const cryptoChoices = ["auto", "ipsec-mb", "openssl"] as const;
export type CryptoChoice = (typeof cryptoChoices)[number];

/** What this machine gives the engine. */
export interface EngineFeatures {
  /** Packet threads. */
  threads: number;
  /** In use: checksum, tso, uso (of the TUN), udp-gso, udp-gro (of the sockets), multi-queue. */
  offloads: string[];
  /** Of a UDP socket, as granted by the kernel. */
  receiveBufferBytes: number;
  sendBufferBytes: number;
  /** Who protects the records of sessions made from now on: "libipsec-mb 1.3.0 AVX512", "OpenSSL 3.0.15". */
  crypto: string;
}

export interface MeshEngine {
  /** Events come in order; none after `stop` resolved. Set before `start`. */
  onEvent: (event: EngineEvent) => void;
  start(): void;
  /** Says CLOSE to every peer, ends the threads, closes TUN and sockets. */
  stop(): Promise<void>;
  /** UDP port bound (the same for IPv4 and IPv6). */
  readonly port: number;
  /** Sends one datagram as it is (heartbeat, punch, keep-alive); never throws for a network error. */
  send(to: Endpoint, data: Uint8Array): void;
  /** Starts a DTLS handshake as client. Ends in `hello`/`foreign` then `up`, or in `failed`.
   *  @param epoch absent: the preferred one */
  connect(tag: Tag, to: Endpoint, epoch?: EpochId): void;
  abort(tag: Tag): void;
  /** Gives the association to a peer; replaces the peer's session once the other side acknowledged. */
  admit(assoc: Assoc, peer: PeerId): void;
  refuse(assoc: Assoc, reason: Refusal): void;
  /** Makes a peer or changes its prefixes ("10.0.0.2/32"): where packets to them go, and the inner sources that it may use. */
  setPeer(peer: PeerId, prefixes: readonly string[]): void;
  /** Ends its sessions (CLOSE or close_notify is sent) and forgets it. */
  removePeer(peer: PeerId): void;
  /** Ends its sessions but keeps the peer and its counters. */
  closePeer(peer: PeerId): void;
  /** Asks for a `pong`. */
  ping(peer: PeerId, token: bigint): void;
  /** Sends a control message (docs/wire.md) of a type from 0x20 on, at most `maxControlBytes`; may be lost. Nothing is sent without
   *  a session, nor ever to a foreign peer. */
  sendControl(peer: PeerId, data: Uint8Array): void;
  /** New records or epochs; living sessions stay, handshakes under an epoch that is gone fail. */
  setIdentity(identity: EngineIdentity): void;
  /** Which packets of peers may come in; everything, unless it is called. Before `start`: from the first packet on. */
  setFilter(filter: EngineFilter): void;
  peerCounters(peer: PeerId): PeerCounters | undefined;
  counters(): EngineCounters;
  /** Absent: there is no machine. Undefined after `stop`. */
  features?(): EngineFeatures | undefined;
  /** Asks every thread for a sign of life; false: one has not answered the previous call. Absent: there are no threads. */
  responds?(): boolean;
  /** Virtual IPs that packets were dropped for because no peer has them: recent ones, bounded. */
  unknownDestinations(): { address: string; packets: number }[];
}

/** Largest control message, its type included. */
export const maxControlBytes = 1200;

export const maxThreads = 8;

/**
 * "auto" is what measured best with 2 processors; with more, each direction gets its own thread, and from 8 on each pair of
 * processors its own queue.
 */
export function threadsFor(choice: number | "auto", processors: number): number {
  if (choice !== "auto") return choice;
  if (processors < 4) return 1;
  return processors < 8 ? 2 : Math.min(maxThreads, Math.floor(processors / 2));
}

/** Two threads share one queue of a TUN; more need one each. */
export const needsQueues = (threads: number): boolean => threads > 2;

export interface EngineOptions {
  identity: EngineIdentity;
  /** Descriptor of an open TUN without packet information; the engine owns it from here. */
  tunFd: number;
  /** Largest inner packet, bytes. */
  mtu: number;
  /** Bound UDP sockets, at most one for each family, on the same port; the engine owns them from here. */
  sockets: readonly { family: 4 | 6; fd: number }[];
  /** Packet threads, at most `maxThreads`: 1 for both directions, 2 for one each, more for both directions on a queue of the TUN each. */
  threads: number;
  /** Interval of RTT probes to a peer, milliseconds. */
  pingIntervalMs: number;
  /** Unanswered probes for this long make a peer `silent`, milliseconds. */
  deadAfterMs: number;
}
