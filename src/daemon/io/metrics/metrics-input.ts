/** What the metrics are read from. */
import type { PeerView } from "../../core/carrier.js";
import type { EngineCounters } from "../../core/engine.js";

/** One network at the moment of asking. */
export interface NetworkMeasure {
  name: string;
  state: string;
  counters: EngineCounters | undefined;
  /** Ends of handshakes since the network came up, by result. */
  handshakes: Readonly<Record<string, number>>;
  peers: readonly PeerView[];
  /** Of all peers since the network came up. */
  pathChanges: number;
  /** Questions for names by what became of them. */
  nameQueries: Readonly<Record<string, number>>;
  /** PSKs that are accepted for some time yet; `until`: milliseconds since 1970. */
  formerPsks: readonly { epoch: number; until: number }[];
}

/** The gateway at the moment of asking. */
export interface GatewayMeasure {
  clients: readonly {
    /** Without prefix length. */
    address: string;
    /** Empty: it came without a token. */
    user: string;
    state: string;
    rxBytes: number;
    txBytes: number;
    drops: Readonly<Record<string, number>>;
  }[];
  /** Connections that were not served, by reason. */
  refused: Readonly<Record<string, number>>;
  /** Packets of a shared device that went to no client, by reason. */
  strays: Readonly<Record<string, number>>;
}

export interface MetricsInput {
  version: string;
  /** Whether each peer has series of its own. */
  perPeer: boolean;
  networks(): NetworkMeasure[];
  /** Absent: there can be none. */
  gateway?: () => Promise<GatewayMeasure>;
  /** Since the start, by type. */
  events(): Readonly<Record<string, number>>;
  eventsLost(): number;
  /** Seconds; percentile 0 to 100. */
  loopLag(percentile: number): number;
}
