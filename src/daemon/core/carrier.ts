/**
 * A carrier moves a network's packets; the mesh is the first of four. A network (src/daemon/app) owns the device,
 * addresses and routes, and runs one carrier on it.
 */
import type { VpnError } from "../../common/errors.js";
import type { EngineCounters, EngineFeatures } from "./engine.js";
import type { EngineFilter } from "./filter/engine-filter.js";
import type { GatewayClientOptions } from "./gateway/client-options.js";
import type { PskEpoch } from "./keys/psk-ring.js";
import type { LogRules } from "./postgres/options.js";
import type { Announcement } from "./routes/announcement.js";
import type { TcpOptions } from "./tcp/options.js";

export type PathKind = "direct" | "relay" | "gateway" | "postgres" | "tcp" | "none";
export type PeerState = "up" | "connecting" | "idle" | "offline" | "refused";

/** `code` is one word with hyphens, such as "wrong-psk"; `message` is for people. */
export interface Reason {
  code: string;
  message: string;
}

/** Times are milliseconds since 1970 of the wall clock, for display only. */
export interface PeerView {
  virtualIp: string;
  name?: string;
  path: PathKind;
  state: PeerState;
  reason?: Reason;
  endpoint?: string;
  rttSeconds?: number;
  /** Largest packet that the path carries now, bytes; absent without a session. */
  mtu?: number;
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  lastHandshake?: number;
  since: number;
  cipher?: string;
  foreign: boolean;
  /** The PSK that its session runs under, as in `PskEpoch`. */
  pskEpoch?: number;
  /** Lower-case hex. */
  nodeKey?: string;
  /** Newest first. */
  endpoints: string[];
  pinnedSince?: number;
  /** How often a living session's path changed. */
  pathChanges?: number;
}

/** A peer with what it announced: claims, with which nothing is done unasked. */
export interface AnnouncedPeer {
  virtualIp: string;
  name?: string;
  /** Lower-case hex; of one without a key, what stands for it. */
  nodeKey: string;
  /** Packets reach it now. */
  up: boolean;
  what: Announcement;
}

/** Settings that a carrier may be able to change while it lives. */
export interface LiveSettings {
  /** "HOST:PORT" of each rendezvous server. */
  iex: readonly string[];
  nodeName: string;
  tcp?: TcpOptions;
  /** What is to be kept of a network over PostgreSQL. */
  postgres?: LogRules;
  gateway?: GatewayClientOptions;
  /** What the gateway asks for; absent: nothing. */
  token?: string;
}

/** Something that happened to a network, or to one of its peers. Holds no secret and no fingerprint of one. */
export interface CarrierEvent {
  type: "up" | "down" | "path" | "key" | "error";
  /** Absent: the network itself, or a stranger. */
  peer?: { virtualIp: string; name?: string };
  /** State from then on. */
  state?: string;
  reason?: Reason;
  path?: string;
  endpoint?: string;
  /** It happened so many times since it was last told; absent: once, now. */
  repeats?: number;
  /** For people. */
  message: string;
}

export interface ServerView {
  address: string;
  state: "up" | "silent" | "unresolved";
  lastHeardSeconds?: number;
}

export interface CarrierView {
  /** "connecting": no server has answered yet or all are silent; tunnels may live all the same. */
  state: "up" | "connecting" | "error";
  reason?: Reason;
  publicEndpoint?: string;
  servers: ServerView[];
  peers: PeerView[];
  counters: EngineCounters;
  /** Ends of handshakes since the start by result: "ok", "rekey", or a failure. Absent: the carrier has none. */
  handshakes?: Readonly<Record<string, number>>;
  /** Changes of the paths of living sessions, of all peers that ever were. */
  pathChanges?: number;
  unknownDestinations: { address: string; packets: number }[];
  /** Data ciphers offered, best first. */
  ciphers: string[];
  /** What this machine gives the carrier. Absent: not known. */
  features?: EngineFeatures;
  /** Remarks for people on the network as a whole. */
  notes: string[];
}

export interface Carrier {
  start(): Promise<void>;
  /** Idempotent; says goodbye to peers and releases everything. */
  stop(): Promise<void>;
  /** Resolves when the network works (mesh: a server confirmed this node); rejects with a VpnError when it can't (virtual IP
   *  held by another) or when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  view(): CarrierView;
  /** Asks what moves packets for a sign of life; false: the previous call is not answered yet. */
  responds?(): boolean;
  /** Own addresses, CIDR, that the carrier got from somebody; absent: it has those that were asked for. */
  addresses?(): readonly string[];
  /** Called at each change of state of the carrier or a peer. */
  onChange: () => void;
  /** Called for each thing that happens, as it happens and in order; also during `stop`. */
  onEvent: (event: CarrierEvent) => void;
  /** Forgets a peer's pin and ends its session; false: there was none. */
  forgetPeer(virtualIp: string): Promise<boolean>;
  /** The PSKs changed, the preferred one first; sessions are renewed without a gap. Absent: the carrier has no PSK. */
  setPsks?(psks: readonly PskEpoch[]): void;
  /**
   * Takes over settings of `liveOptions` (core/network/settings.ts) without giving its device up. Absent: it can change none.
   * @throws VpnError when it cannot have them; then it is as it was
   */
  reconfigure?(settings: LiveSettings): Promise<void>;
  /** Tells peers what this node offers, now and whenever they connect. Absent: the carrier cannot. */
  announce?(what: Announcement): void;
  /** What peers announced; `onChange` is called when it changes. Absent: they cannot. */
  announcements?(): AnnouncedPeer[];
  /** Whom to ask for names while a peer is this machine's exit node. Absent: the exit node itself. */
  resolvers?(): readonly string[];
  /** Whoever is waited for is there and says no, as it will again; undefined: that is not so. Absent: it is never known. */
  refusal?(): VpnError | undefined;
  /** Who carries which prefixes besides its own addresses, by node key; replaces what was set before. */
  setRoutes?(routes: ReadonlyMap<string, readonly string[]>): void;
  /**
   * Which packets of peers may come in; everything, unless it is called. Also before `start`, and then in force from the first
   * packet on. Absent: the carrier cannot filter, and a network with rules does not start on it.
   */
  setFilter?(filter: EngineFilter): void;
  /** Round trip inside the tunnel, seconds; rejects with VpnError `no-reply` after the time-out. */
  ping(virtualIp: string, timeoutSeconds: number): Promise<number>;
}
