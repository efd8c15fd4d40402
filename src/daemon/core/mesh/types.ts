/** What goes into the mesh core and what comes out of it. */
import type { VpnError } from "../../../common/errors.js";
import type { CarrierEvent } from "../carrier.js";
import type { Assoc, Endpoint, EngineEvent, EpochId, PeerCounters, PeerId, Refusal, Tag } from "../engine.js";
import type { RecordKeys } from "../keys/node-record.js";
import type { Announcement } from "../routes/announcement.js";
import type { Subnet } from "./address.js";
import type { OwnEndpoint } from "./own-endpoints.js";
import type { Pin } from "./pins.js";

/** The time of an input. `now`: monotonic milliseconds; `wall`: milliseconds since 1970, for display and pins only. */
export interface Moment {
  now: number;
  wall: number;
}

/** One node on a server's map. */
export interface MapEntry {
  virtualIp: string;
  publicEndpoint: Endpoint;
  /** Where the node is behind its NAT. */
  privateEndpoint?: Endpoint;
}

export interface NodeMap {
  /** Newest first, as far as the server knows. */
  entries: readonly MapEntry[];
  /** The receiver's own entry; -1 when the server did not say. */
  myIndex: number;
}

/** The rendezvous protocol's messages (src/common/badger). */
export interface MapCodec {
  /** Undefined for anything that is not a valid map. Never throws. */
  decodeMap(data: Uint8Array): NodeMap | undefined;
  encodeHeartbeat(virtualIp: string, privateEndpoint: Endpoint | undefined): Uint8Array;
}

/** A PSK as the core sees it: what opens the records of handshakes that ran under it. */
export interface MeshEpoch {
  id: EpochId;
  keys: RecordKeys;
}

export interface MeshConfig {
  badger: boolean;
  /** Own virtual IP, canonical, and the length of the virtual subnet. */
  virtualIp: string;
  prefixLength: number;
  nodeKey: Uint8Array;
  /** Accepted PSK epochs, the preferred one first. */
  epochs: readonly MeshEpoch[];
  /** "HOST:PORT" of each rendezvous server. */
  servers: readonly string[];
  /** Own UDP port. */
  port: number;
  pins: readonly Pin[];
  ownEndpoints: readonly OwnEndpoint[];
}

export type MeshInput =
  | { type: "start" }
  | { type: "tick" }
  /** The PSKs changed; the engine knows already. */
  | { type: "epochs"; epochs: readonly MeshEpoch[] }
  | { type: "engine"; event: EngineEvent }
  /** "HOST:PORT" of each rendezvous server from now on. */
  | { type: "servers"; servers: readonly string[] }
  /** What this node tells its peers from now on. */
  | { type: "announce"; what: Announcement }
  /** Prefixes besides their own addresses that peers carry, by node key in lower-case hex; all others carry none. */
  | { type: "routes"; routes: ReadonlyMap<string, readonly string[]> }
  /** Answer to the `resolve` effect; empty when the name has no address. */
  | { type: "resolved"; server: string; endpoints: readonly Endpoint[] }
  /** Subnets of this host's interfaces, the mesh's own device left out. */
  | { type: "interfaces"; subnets: readonly Subnet[] }
  /** Counters of foreign peers with a session, a few seconds apart: they answer no probes. */
  | { type: "counters"; peers: ReadonlyMap<PeerId, PeerCounters> };

export type LogLevel = "debug" | "info" | "warn";

export type MeshEffect =
  | { type: "send"; to: Endpoint; data: Uint8Array }
  | { type: "connect"; tag: Tag; to: Endpoint; epoch?: EpochId }
  | { type: "abort"; tag: Tag }
  | { type: "admit"; assoc: Assoc; peer: PeerId }
  | { type: "refuse"; assoc: Assoc; reason: Refusal }
  | { type: "set-peer"; peer: PeerId; prefixes: readonly string[] }
  | { type: "remove-peer"; peer: PeerId }
  | { type: "close-peer"; peer: PeerId }
  | { type: "send-control"; peer: PeerId; data: Uint8Array }
  | { type: "resolve"; server: string }
  | { type: "persist-pins"; pins: readonly Pin[] }
  | { type: "persist-own-endpoints"; endpoints: readonly OwnEndpoint[] }
  /** A server confirmed this node, and nobody else holds its virtual IP. Once. */
  | { type: "ready" }
  /** Another node holds the virtual IP. The core rests for a minute and then tries again. */
  | { type: "conflict"; error: VpnError }
  | { type: "changed" }
  | { type: "event"; event: CarrierEvent }
  | { type: "log"; level: LogLevel; message: string; fields: Readonly<Record<string, string | number>> };

/** What every part of the core needs while one input is handled. */
export interface Context {
  readonly config: MeshConfig;
  readonly at: Moment;
  emit(effect: MeshEffect): void;
  /** Tells what becomes of a peer or the network: each change, unless it changes all the time. */
  tell(event: CarrierEvent): void;
  /** Tells what strangers can cause at will: once, then how often. */
  report(event: CarrierEvent): void;
  /** 0 <= x < 1. */
  random(): number;
  newTag(): Tag;
}

/** A datagram that only opens a NAT (docs/wire.md). */
export const punch = new Uint8Array([0]);
