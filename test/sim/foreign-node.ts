/** A genuine Badger node as the paper describes it: handshake, IP packets, nothing else; it has no HELLO and no node key. */
import { encodeHeartbeat } from "../../src/common/badger/heartbeat.js";
import { decodeMap } from "../../src/common/badger/map.js";
import type { Endpoint } from "../../src/daemon/core/engine.js";
import { compareAddresses } from "../../src/daemon/core/mesh/address.js";
import type { Clock } from "./clock.js";
import type { Nat, Network, Socket } from "./network.js";
import type { Message } from "./sim-associations.js";

export interface ForeignOptions {
  virtualIp: string;
  host: string;
  nat?: Nat | undefined;
  server: Endpoint;
  /** Hex of the DTLS PSK. */
  psk: string;
}

interface Connection {
  endpoint: Endpoint;
  own: number;
  remote: number;
}

export class ForeignNode {
  readonly options: ForeignOptions;
  /** Messages inside a finished handshake that were no IP packet and no close: each would make the real one panic. */
  readonly offences: string[] = [];
  readonly received: string[] = [];
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #connections = new Map<number, Connection>();
  #last = 7000;
  #running = true;

  constructor(clock: Clock, network: Network, options: ForeignOptions) {
    this.options = options;
    this.#clock = clock;
    this.#socket = network.bind(options.host, 4400, options.nat, (from, payload) => {
      if (payload instanceof Uint8Array) this.#onBytes(payload);
      else this.#onMessage(from, payload as Message);
    });
    this.#beat();
  }

  get connections(): number {
    return [...this.#connections.values()].filter((connection) => connection.remote !== 0).length;
  }

  /** Sends an inner packet into every connection. */
  sendTo(virtualIp: string): void {
    for (const { endpoint, remote } of this.#connections.values()) {
      if (remote === 0) continue;
      this.#say(endpoint, {
        kind: "data",
        to: remote,
        source: this.options.virtualIp,
        destination: virtualIp,
      });
    }
  }

  /** As after kill -9. */
  stop(): void {
    this.#running = false;
    this.#socket.close();
  }

  #beat(): void {
    if (!this.#running) return;
    this.#socket.send(this.options.server, encodeHeartbeat({ virtualIp: this.options.virtualIp }));
    this.#clock.after(5000, () => this.#beat());
  }

  #onBytes(data: Uint8Array): void {
    const map = decodeMap(data);
    if (!map.ok) return;
    for (const [index, node] of map.value.nodes.entries()) {
      if (index === map.value.myIndex) continue;
      const known = [...this.#connections.values()].find((one) => one.endpoint === node.publicIp);
      if (known !== undefined && known.remote !== 0) continue;
      if (compareAddresses(this.options.virtualIp, node.virtualIp) < 0) {
        this.#socket.send(node.publicIp, new Uint8Array([0]));
      } else {
        const connection = known ?? this.#make(node.publicIp);
        this.#say(node.publicIp, {
          kind: "client-hello",
          from: connection.own,
          psk: this.options.psk,
          foreign: true,
        });
      }
    }
  }

  #onMessage(from: Endpoint, message: Message): void {
    switch (message.kind) {
      case "client-hello": {
        if (message.psk !== this.options.psk) return;
        const known = [...this.#connections.values()].find(
          (one) => one.endpoint === from && one.remote === message.from,
        );
        const connection = known ?? this.#make(from);
        connection.remote = message.from;
        this.#say(from, { kind: "server-hello", from: connection.own, to: message.from, foreign: true });
        return;
      }
      case "server-hello": {
        const connection = this.#connections.get(message.to);
        if (connection !== undefined) connection.remote = message.from;
        return;
      }
      case "data":
        if (this.#connections.has(message.to)) this.received.push(`${message.source}>${message.destination}`);
        return;
      case "close":
        this.#connections.delete(message.to);
        return;
      default:
        if (this.#connections.has(message.to)) this.offences.push(message.kind);
    }
  }

  #make(endpoint: Endpoint): Connection {
    this.#last += 1;
    const connection = { endpoint, own: this.#last, remote: 0 };
    this.#connections.set(connection.own, connection);
    return connection;
  }

  #say(to: Endpoint, message: Message): void {
    this.#socket.send(to, message);
  }
}
