/** What a network stands on: its device, addresses and sockets. */
import { VpnError } from "../../common/errors.js";
import type { Carrier } from "../core/carrier.js";
import type { NetworkConfig } from "../core/network/config.js";
import { networkItems } from "../core/network/items.js";
import { checkOverlap } from "../core/network/overlap.js";
import type { Item } from "../core/system/items.js";
import type { PlannedStep, SystemDoor } from "../io/system/door.js";
import type { CarrierInput, Platform } from "./platform.js";
import { openUdpSockets, type UdpSockets } from "./sockets.js";

export interface NetworkGroundParts {
  door: SystemDoor;
  platform: Platform;
  /** Packet threads. */
  threads: number;
  /** As it is at the time. */
  config: () => NetworkConfig;
  /** The other networks, for the check of overlapping prefixes. */
  others: () => NetworkConfig[];
  /** The UDP port that was opened, before anything is made of it. */
  onPort: (port: number) => Promise<void>;
}

/** What a carrier is made on. */
export type Ground = Pick<CarrierInput, "engine" | "port" | "assign">;

const pingIntervalMs = 5_000;
const deadAfterMs = 15_000;

export class NetworkGround {
  readonly #parts: NetworkGroundParts;
  /** What `#assign` brought about. */
  #assigned = "";

  constructor(parts: NetworkGroundParts) {
    this.#parts = parts;
  }

  /** The changes to the machine that `build` would make. @throws VpnError as `build` */
  async plan(): Promise<string[]> {
    return this.#parts.door.plan(await this.#items());
  }

  /** Its changes to the machine, or, while there are none, those that `build` would make. @throws VpnError as `build` */
  async steps(): Promise<PlannedStep[]> {
    const { door, config } = this.#parts;
    const applied = await door.applied(config().name);
    return applied.length > 0 ? applied : door.pending(await this.#items());
  }

  planRemoval(): string[] {
    return this.#parts.door.planUndo(this.#parts.config().name);
  }

  /** @param raise makes a carrier on it and starts it. When anything fails nothing is left. */
  async build(raise: (ground: Ground) => Promise<Carrier>): Promise<Carrier> {
    const { door, platform, threads, config, onPort } = this.#parts;
    const { name } = config();
    const { tunFd } = await door.apply(name, await this.#items());
    if (tunFd === undefined) throw new VpnError("internal", "the device was not opened");
    // Whoever makes the engine gives it the descriptors; until then they are ours to close.
    let owned = [tunFd];
    try {
      const { port, sockets } = this.#openSockets();
      owned = [tunFd, ...sockets.map((socket) => socket.fd)];
      await onPort(port);
      const { mtu } = config();
      return await raise({
        engine: (identity) => {
          const timing = { pingIntervalMs, deadAfterMs };
          const engine = platform.createMeshEngine({ identity, tunFd, mtu, sockets, threads, ...timing });
          owned = [];
          return engine;
        },
        assign: (assignment) => this.#assign(assignment),
        port: (items) => {
          const made = platform.createPacketPort({ tunFd, mtu, items });
          owned = [];
          return made;
        },
      });
    } catch (error) {
      for (const fd of owned) platform.closeFd(fd);
      await door.undo(name);
      throw error;
    }
  }

  /** Takes all changes to the machine back. */
  async remove(): Promise<void> {
    await this.#parts.door.undo(this.#parts.config().name);
    this.#assigned = "";
  }

  async #items(): Promise<Item[]> {
    const { door, others } = this.#parts;
    const config = this.#parts.config();
    checkOverlap(config, others(), await door.localPrefixes());
    const exists = config.asked.device !== "" && (await door.hasLink(config.device));
    return networkItems(config, exists);
  }

  /** A part of its own, taken back with the network; as it is already, nothing is touched. */
  async #assign({ addresses, mtu, routes }: Parameters<CarrierInput["assign"]>[0]): Promise<void> {
    const { device, name } = this.#parts.config();
    const items: Item[] = [
      { kind: "link", device, mtu },
      ...addresses.map((address): Item => ({ kind: "address", device, address })),
      ...routes.map((prefix): Item => ({ kind: "route", device, prefix })),
    ];
    const key = JSON.stringify(items);
    if (key === this.#assigned) return;
    this.#assigned = "";
    await this.#parts.door.apply(`${name}/assigned`, items);
    this.#assigned = key;
  }

  /** UDP sockets are for a mesh only. */
  #openSockets(): UdpSockets {
    const { carrier, port, asked } = this.#parts.config();
    if (carrier !== "mesh") return { port, sockets: [] };
    return openUdpSockets(this.#parts.platform, port, asked.listenPort !== 0);
  }
}
