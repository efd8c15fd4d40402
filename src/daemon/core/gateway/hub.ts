/** The devices of a gateway's clients, read by one thread; each client is held to its own addresses (native/, "The port hub"). */

import type { GatewayItems } from "../../../common/gateway/codec.js";
import type { EngineCounters } from "../engine.js";

/** Items of one client, as in `PacketBatch`. */
export interface ClientBatch {
  readonly data: Uint8Array;
  readonly ends: Uint32Array;
  readonly items: GatewayItems;
  /** To be called when nobody needs the bytes any more; later calls do nothing. */
  release(): void;
}

/**
 * - `read`: what its device has is handed over
 * - `pause`: it waits in the device, whose queue is bounded
 * - `discard`: it is counted and gone, for the client is away
 */
export type ClientMode = "read" | "pause" | "discard";

export interface HubClient {
  /** Absent: the shared one is its device, too. */
  tunFd?: number;
  /** Of its device, bytes. */
  mtu: number;
  items: GatewayItems;
  sources: readonly string[];
  anySource: boolean;
  /** Bytes that may pass, both ways together; absent: as many as they like. */
  limit?: number;
}

export interface HubCounters extends EngineCounters {
  /** What counts against the limit, bytes; 0 without one. */
  passedBytes: number;
  /** What the client sends as, with `anySource` and as far as that is known. */
  learned: string[];
}

export interface PortHub {
  /** Set before `start`. When it throws, the batch is released. */
  onBatch: (client: number, batch: ClientBatch) => void;
  /**
   * Before `start`: all clients have the device with this name together, and are told apart by their `sources`. Several hubs may
   * have it, each in a thread of its own: a packet for a client gets to the client's hub, whichever the kernel gives it to.
   * @throws Error with the system's code when there is no such device, or no queue of it left
   */
  share(device: string): void;
  start(): void;
  /**
   * A client with its device, paused. The hub owns the descriptor from here.
   * @param sources prefixes of what the client may send; with `anySource` addresses, one of a family at most
   * @param anySource its first packet of each family says what it sends as; that is translated to the address in `sources`, and back
   * @throws Error when there is such a client, or the descriptor is no device's; it is still the caller's then
   */
  add(client: number, options: HubClient): void;
  /** @returns the descriptor of its device, which is the caller's again; undefined: there was no such client */
  release(client: number): number | undefined;
  setMode(client: number, mode: ClientMode): void;
  /**
   * For a client that was added with a limit: so many bytes may pass from its beginning on. When a packet would be too many, nothing
   * more passes, and all of the limit counts as passed.
   */
  setLimit(client: number, bytes: number): void;
  /** What its batches hold from about now on. */
  choose(client: number, items: GatewayItems): void;
  /** Puts items of the client into its device, at once; what is wrong, foreign or forbidden is counted and goes nowhere. */
  write(client: number, data: Uint8Array, ends: Uint32Array, items: GatewayItems): void;
  /** rx: from the client, tx: to it. Undefined: there is no such client. */
  counters(client: number): HubCounters | undefined;
  /** Packets of the shared device that went to no client, by reason. */
  strays(): Readonly<Record<string, number>>;
  responds(): boolean;
  /** Ends the thread and closes the devices. Idempotent. */
  stop(): void;
}

/** Prefixes of destinations: what is in `closed` and not in `open` is no place for clients. */
export interface HubDestinations {
  closed: readonly string[];
  open: readonly string[];
}
