/** A model of a rendezvous server: the paper's rules and nothing else. */
import { decodeHeartbeat, type Heartbeat } from "../../src/common/badger/heartbeat.js";
import { encodeMapNode, encodeMapTail, joinMapNodes } from "../../src/common/badger/map.js";
import { formatEndpoint } from "../../src/common/endpoint.js";
import type { Endpoint } from "../../src/daemon/core/engine.js";
import type { Clock } from "./clock.js";
import type { Network, Socket } from "./network.js";

const pushMs = 5000;
const purgeMs = 30_000;

interface Registration extends Heartbeat {
  lastSeen: number;
}

export class SimServer {
  readonly endpoint: Endpoint;
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #host: string;
  readonly #nodes = new Map<Endpoint, Registration>();
  #socket: Socket | undefined;
  #cancel: () => void = () => {};

  constructor(clock: Clock, network: Network, host: string) {
    this.#clock = clock;
    this.#network = network;
    this.#host = host;
    this.endpoint = formatEndpoint(host, 9944);
    this.start();
  }

  start(): void {
    if (this.#socket !== undefined) return;
    this.#socket = this.#network.bind(this.#host, 9944, undefined, (from, payload) => {
      if (payload instanceof Uint8Array) this.#onHeartbeat(from, payload);
    });
    this.#every();
  }

  /** Forgets everything, as a killed process does. */
  stop(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#nodes.clear();
    this.#cancel();
  }

  has(virtualIp: string): boolean {
    return [...this.#nodes.values()].some((node) => node.virtualIp === virtualIp);
  }

  /** As if a node had left long ago, or the server had lost it. */
  drop(virtualIp: string): void {
    for (const [endpoint, node] of this.#nodes)
      if (node.virtualIp === virtualIp) this.#nodes.delete(endpoint);
    this.#push();
  }

  #every(): void {
    this.#cancel = this.#clock.after(1000, () => {
      let purged = false;
      for (const [endpoint, node] of this.#nodes) {
        if (this.#clock.now - node.lastSeen >= purgeMs) purged = this.#nodes.delete(endpoint) || purged;
      }
      if (purged || Math.floor(this.#clock.now / 1000) % (pushMs / 1000) === 0) this.#push();
      this.#every();
    });
  }

  #onHeartbeat(from: Endpoint, data: Uint8Array): void {
    const decoded = decodeHeartbeat(data);
    if (!decoded.ok) return;
    const known = this.#nodes.get(from);
    if (known?.virtualIp === decoded.value.virtualIp) {
      known.lastSeen = this.#clock.now;
      return;
    }
    this.#nodes.delete(from);
    this.#nodes.set(from, { ...decoded.value, lastSeen: this.#clock.now });
    this.#push();
  }

  #push(): void {
    const nodes = [...this.#nodes].reverse();
    const head = joinMapNodes(
      nodes.map(([publicIp, { virtualIp, privateIp }]) =>
        encodeMapNode(privateIp === undefined ? { virtualIp, publicIp } : { virtualIp, publicIp, privateIp }),
      ),
    );
    for (const [index, [to]] of nodes.entries()) {
      this.#socket?.send(to, Buffer.concat([head, encodeMapTail(index)]));
    }
  }
}
