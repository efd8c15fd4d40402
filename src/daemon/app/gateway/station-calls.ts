/**
 * The two parts of a gateway, and what they ask of each other. One keeps users, addresses and devices; the other, of which there
 * may be several in threads of their own, has the port, the connections and the packets. All of it can go through a message port.
 */

import type { GatewayHello } from "../../../common/gateway/hello.js";
import type { Reason } from "../../core/carrier.js";
import type { HubCounters, HubDestinations } from "../../core/gateway/hub.js";
import type { Knock } from "../../io/gateway/server.js";
import type { TlsPair } from "../../io/gateway/tls-files.js";

/** What a station is made from. */
export interface StationSetup {
  destinations: HubDestinations;
  /** Of clients' devices, bytes. */
  mtu: number;
  /** Sizes of messages to clients are hidden. */
  padding: boolean;
  /** Clients may keep addresses of their own. */
  anySource: boolean;
  /** Name of the device that all clients have together; absent: each has its own. */
  sharedDevice?: string;
}

/** How a client is served. */
export interface Grant {
  id: number;
  /** Its device, the station's from here until it is released; absent: it has the shared one. */
  fd?: number;
  /** Prefixes of what it may send. */
  sources: string[];
  /** Bytes a second each way; absent: as fast as it goes. */
  rate?: number;
  /** Bytes that it may move, both ways together; absent: as many as it likes. */
  limit?: number;
  hello: GatewayHello;
  /** It speaks another protocol than ours. */
  foreign: boolean;
}

/** What becomes of who knocks: an HTTP status, a WebSocket that is closed at once, or a client. */
export type Verdict = { refuse: 401 | 403 | 404 | 426 | 429 | 503 } | { close: Farewell } | { grant: Grant };

export interface Farewell {
  code: number;
  text: string;
}

/** What is left of a client; nothing, when the station does not know it. */
export interface Released {
  /** Its device, the caller's again. */
  fd?: number;
  /** As they were at the end. */
  counters?: HubCounters;
}

/** A client at the moment of asking. */
export interface Measured {
  id: number;
  counters: HubCounters;
  /** Absent: it is away, or has answered nothing yet. */
  rttSeconds?: number;
}

/** Of a client's bytes. */
export interface Limit {
  id: number;
  bytes: number;
}

/** What the control asks of a station. */
export interface StationCalls {
  /** @param listenFd the station's from here @throws VpnError when it cannot be listened on */
  open(listenFd: number, tls: TlsPair | undefined): Promise<void>;
  /** Closes the connection if there is one. */
  release(id: number, farewell: Farewell): Promise<Released>;
  measure(): Promise<Measured[]>;
  /** So many bytes may clients with these ids move from their beginning on, who were granted a limit. */
  limit(limits: readonly Limit[]): Promise<void>;
  /** Packets of the shared device that went to no client, by reason. */
  strays(): Promise<Readonly<Record<string, number>>>;
  /** Connections from now on get this certificate. */
  renew(tls: TlsPair): Promise<void>;
  /** Says goodbye to all and listens no more; devices stay. */
  close(farewell: Farewell): Promise<void>;
  /** Ends the packets' thread and closes the devices that it has. */
  end(): Promise<void>;
}

/** What a station asks of the control, and tells it. */
export interface ControlCalls {
  admit(knock: Knock): Promise<Verdict>;
  /** A connection is over. @param kept its device waits for it to come back; else it never was there */
  ended(id: number, reason: Reason, kept: boolean): void;
  /** A connection was not served; `why` is a word with hyphens. */
  refused(why: string): void;
}

/** A station as the control has it. */
export interface StationHandle extends StationCalls {
  /** To be called before `open`. @throws Error when it cannot have the shared device */
  prepare(): Promise<void>;
  /** Asks what moves packets for a sign of life; false: it owes one. */
  responds(): boolean;
}
