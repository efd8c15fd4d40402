import { loadAddon } from "../../common/addon.js";
import type { EngineFilter } from "../core/filter/engine-filter.js";
import type { PacketBatch, PacketPort, PacketPortOptions, PortItems } from "../core/packet-port.js";

interface AddonPort {
  start(): void;
  stop(): void;
  pause(): void;
  resume(): void;
  giveBack(index: number): void;
  choose(items: PortItems): void;
  write(data: Uint8Array, ends: Uint32Array, items: PortItems): void;
  setFilter(filter: EngineFilter): void;
  memory(): { data: Uint8Array; ends: Uint32Array }[];
  counters(): ReturnType<PacketPort["counters"]>;
  features(): ReturnType<PacketPort["features"]>;
  responds(): boolean;
}

/** What native/napi/port.cc exports. */
interface Addon {
  PacketPort: new (
    options: PacketPortOptions,
    onBatch: (index: number, bytes: number, items: number, supers: boolean) => void,
  ) => AddonPort;
}

/**
 * Makes a packet port; it owns the descriptor from here.
 * @throws TypeError for options of the wrong shape, Error when `items` do not fit the device or descriptors are short; then the
 *   descriptor is still the caller's
 */
export function createPacketPort(options: PacketPortOptions): PacketPort {
  return new NativePacketPort((loadAddon() as Addon).PacketPort, options);
}

class NativePacketPort implements PacketPort {
  onPackets: PacketPort["onPackets"] = (batch) => batch.release();
  readonly #port: AddonPort;
  readonly #items: PortItems;
  readonly #memory: { data: Uint8Array; ends: Uint32Array }[];

  constructor(Port: Addon["PacketPort"], options: PacketPortOptions) {
    this.#port = new Port(options, (...batch) => this.#deliver(...batch));
    this.#items = options.items;
    this.#memory = this.#port.memory();
  }

  #deliver(index: number, bytes: number, items: number, supers: boolean): void {
    const memory = this.#memory[index];
    if (!memory) throw new Error(`the addon sent an unknown batch ${index}`);
    let held = true;
    const batch: PacketBatch = {
      data: memory.data.subarray(0, bytes),
      ends: memory.ends.subarray(0, items),
      items: supers ? "supers" : this.#items === "frames" ? "frames" : "packets",
      release: () => {
        if (held) this.#port.giveBack(index);
        held = false;
      },
    };
    try {
      this.onPackets(batch);
    } catch (error) {
      batch.release();
      throw error;
    }
  }

  start(): void {
    this.#port.start();
  }

  pause(): void {
    this.#port.pause();
  }

  resume(): void {
    this.#port.resume();
  }

  choose(items: PortItems): void {
    this.#port.choose(items);
  }

  write(data: Uint8Array, ends: Uint32Array, items: PortItems = this.#items): void {
    this.#port.write(data, ends, items);
  }

  setFilter(filter: EngineFilter): void {
    this.#port.setFilter(filter);
  }

  /** The thread needs milliseconds to end, so this does not leave the caller's thread. */
  async stop(): Promise<void> {
    this.#port.stop();
    // The memory is given back to the system when no batch is held any more.
    this.#memory.length = 0;
  }

  counters(): ReturnType<PacketPort["counters"]> {
    return this.#port.counters();
  }

  features(): ReturnType<PacketPort["features"]> {
    return this.#port.features();
  }

  responds(): boolean {
    return this.#port.responds();
  }
}
