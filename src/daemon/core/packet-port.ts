/**
 * A device's packets for a carrier that is not the mesh: batches out of the device, batches into it. Between them and the kernel
 * native/ splits and merges, so that what the kernel hands over in one piece crosses as many packets, or as one (`supers`).
 */
import type { EngineCounters, EngineFeatures } from "./engine.js";
import type { EngineFilter } from "./filter/engine-filter.js";

/**
 * - `packets`: IP packets no larger than the MTU, of a TUN
 * - `supers`: IP packets of up to 64 KiB, each behind 10 bytes that say how to split it (struct virtio_net_hdr, little-endian), of a
 *   TUN; for a carrier whose other end is such a port too
 * - `frames`: Ethernet frames, of a TAP
 */
export type PortItems = "packets" | "supers" | "frames";

/** Items one behind the other: item i ends at `ends[i]` and begins where the one before it ends. */
export interface PacketBatch {
  readonly data: Uint8Array;
  readonly ends: Uint32Array;
  readonly items: PortItems;
  /**
   * To be called when nobody needs the bytes any more; later calls do nothing. The bytes are then overwritten. There are few
   * batches: while the carrier holds all, the device is not read, its queue fills and the kernel drops what finds no room.
   */
  release(): void;
}

export interface PacketPort {
  /** Set before `start`. Called with each batch, in order; not while paused. When it throws, the batch is released. */
  onPackets: (batch: PacketBatch) => void;
  start(): void;
  /** For a carrier that can send no more now: no call of `onPackets` until `resume`. */
  pause(): void;
  resume(): void;
  /**
   * What batches hold from about now on; those under way say what they hold.
   * @throws TypeError for frames of a TUN, or anything else of a TAP
   */
  choose(items: PortItems): void;
  /**
   * Puts items into the device, at once. They may come from a stranger: what is wrong is counted and goes nowhere.
   * @param data changed by it, and of no use afterwards; no shared memory
   * @param ends as in `PacketBatch`; what is behind the last end is not looked at
   * @param items absent: as the port was made
   * @throws TypeError for arguments of another type, and for items that are not of this device
   */
  write(data: Uint8Array, ends: Uint32Array, items?: PortItems): void;
  /**
   * Which items may come in, from the next `write` on; everything, unless it is called. Sources are compared with the packets' own
   * addresses: the carrier sees to it that nobody uses those of others. Frames without IP always come in.
   */
  setFilter(filter: EngineFilter): void;
  /** Ends the thread, which takes milliseconds, and closes the device. Idempotent; what was not yet taken is lost. */
  stop(): Promise<void>;
  /** rx: into the device, tx: out of it. A super-packet counts as the packets that it stands for. */
  counters(): EngineCounters;
  /** Undefined after `stop`. */
  features(): Pick<EngineFeatures, "threads" | "offloads"> | undefined;
  /** Asks the thread for a sign of life; false: it has not answered the previous call. */
  responds(): boolean;
}

export interface PacketPortOptions {
  /** Descriptor of an open TUN or TAP (`openTun`); the port owns it from here. */
  tunFd: number;
  /** Of the device, bytes. */
  mtu: number;
  items: PortItems;
}
