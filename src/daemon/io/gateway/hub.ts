import { loadAddon } from "../../../common/addon.js";
import type { GatewayItems } from "../../../common/gateway/codec.js";
import type { ClientBatch, ClientMode, HubClient, HubDestinations, PortHub } from "../../core/gateway/hub.js";

interface AddonHub {
  share(device: string): void;
  start(): void;
  stop(): void;
  add(client: number, options: HubClient): void;
  remove(client: number, keep: boolean): number;
  setMode(client: number, mode: ClientMode): void;
  setLimit(client: number, bytes: number): void;
  choose(client: number, items: GatewayItems): void;
  write(client: number, data: Uint8Array, ends: Uint32Array, items: GatewayItems): void;
  giveBack(index: number): void;
  memory(): { data: Uint8Array; ends: Uint32Array }[];
  counters(client: number): ReturnType<PortHub["counters"]>;
  sharedDrops(): Record<string, number>;
  responds(): boolean;
}

/** What native/napi/hub.cc exports. */
interface Addon {
  PortHub: new (
    destinations: HubDestinations,
    onBatch: (client: number, index: number, bytes: number, items: number, supers: boolean) => void,
  ) => AddonHub;
}

/** @throws TypeError for what is no prefix, Error when descriptors are short */
export function createPortHub(destinations: HubDestinations): PortHub {
  return new NativePortHub((loadAddon() as Addon).PortHub, destinations);
}

class NativePortHub implements PortHub {
  onBatch: PortHub["onBatch"] = (_, batch) => batch.release();
  readonly #hub: AddonHub;
  readonly #memory: { data: Uint8Array; ends: Uint32Array }[];

  constructor(Hub: Addon["PortHub"], destinations: HubDestinations) {
    this.#hub = new Hub(destinations, (...batch) => this.#deliver(...batch));
    this.#memory = this.#hub.memory();
  }

  #deliver(client: number, index: number, bytes: number, items: number, supers: boolean): void {
    const memory = this.#memory[index];
    if (memory === undefined) throw new Error(`the addon sent an unknown batch ${index}`);
    let held = true;
    const batch: ClientBatch = {
      data: memory.data.subarray(0, bytes),
      ends: memory.ends.subarray(0, items),
      items: supers ? "supers" : "packets",
      release: () => {
        if (held) this.#hub.giveBack(index);
        held = false;
      },
    };
    try {
      this.onBatch(client, batch);
    } catch (error) {
      batch.release();
      throw error;
    }
  }

  share(device: string): void {
    this.#hub.share(device);
  }

  start(): void {
    this.#hub.start();
  }

  add(client: number, options: HubClient): void {
    this.#hub.add(client, options);
  }

  release(client: number): number | undefined {
    const fd = this.#hub.remove(client, true);
    return fd < 0 ? undefined : fd;
  }

  setMode(client: number, mode: ClientMode): void {
    this.#hub.setMode(client, mode);
  }

  setLimit(client: number, bytes: number): void {
    this.#hub.setLimit(client, bytes);
  }

  choose(client: number, items: GatewayItems): void {
    this.#hub.choose(client, items);
  }

  write(client: number, data: Uint8Array, ends: Uint32Array, items: GatewayItems): void {
    this.#hub.write(client, data, ends, items);
  }

  counters(client: number): ReturnType<PortHub["counters"]> {
    return this.#hub.counters(client);
  }

  strays(): Record<string, number> {
    return this.#hub.sharedDrops();
  }

  responds(): boolean {
    return this.#hub.responds();
  }

  stop(): void {
    this.#hub.stop();
    this.#memory.length = 0;
  }
}
