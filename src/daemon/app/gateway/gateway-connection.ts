/** One connection to a gateway: it says hello first, then packets flow. */
import type { WebSocket } from "ws";
import type { ClientDialect } from "../../../common/gateway/client-dialect.js";
import type { GatewayItems } from "../../../common/gateway/codec.js";
import type { GatewayHello } from "../../../common/gateway/hello.js";
import type { Reason } from "../../core/carrier.js";
import { Channel, closeCodes } from "../../io/gateway/channel.js";

/** A WebSocket that was just opened. */
export interface Opened {
  socket: WebSocket;
  dialect: ClientDialect;
  /** "ADDRESS:PORT" where it was reached. */
  endpoint: string;
  /** Of TLS; absent without it. */
  cipher?: string;
}

export interface GatewayConnectionOptions {
  /** How often the gateway is asked for a sign of life, and how long it may be silent, milliseconds. */
  pingMs: number;
  deadMs: number;
  /** What the gateway says; packets are taken from `accept` on. */
  onHello: (hello: GatewayHello) => void;
  onItems: (items: GatewayItems, data: Uint8Array, ends: Uint32Array) => void;
  onDrain: () => void;
  /** Once, at its end, for whatever reason. */
  onEnd: (reason: Reason) => void;
}

/** Who opens a connection and then says nothing has so long, milliseconds. */
const helloMs = 15_000;

export class GatewayConnection {
  readonly endpoint: string;
  readonly cipher: string | undefined;
  /** Resolves at its end. */
  readonly over: Promise<void>;
  readonly #channel: Channel;
  readonly #onEnd: (reason: Reason) => void;
  readonly #patience: NodeJS.Timeout;
  #accepted: GatewayHello | undefined;
  #ended = false;
  #isOver: () => void = () => {};

  constructor(opened: Opened, options: GatewayConnectionOptions) {
    const { socket, dialect, endpoint, cipher } = opened;
    const { pingMs, deadMs, onHello, onItems, onDrain, onEnd } = options;
    this.endpoint = endpoint;
    this.cipher = cipher;
    this.#onEnd = onEnd;
    this.over = new Promise((resolve) => {
      this.#isOver = resolve;
    });
    this.#channel = new Channel(socket, {
      codec: dialect.codec,
      pingMs,
      deadMs,
      events: {
        onItems: (items, data, ends) => {
          if (this.hello !== undefined) onItems(items, data, ends);
        },
        onControl: (message) => {
          const hello = this.#ended || this.#accepted !== undefined ? undefined : dialect.parseHello(message);
          if (hello !== undefined) onHello(hello);
        },
        onDrain: () => {
          if (!this.#ended) onDrain();
        },
        onEnd: (reason) => this.end(reason),
      },
    });
    const silent = { code: "silent", message: "the gateway opened the connection and said nothing" };
    this.#patience = setTimeout(() => this.end(silent), helloMs);
    this.#patience.unref();
  }

  /** What was accepted of the gateway; undefined: packets do not flow yet, or any more. */
  get hello(): GatewayHello | undefined {
    return this.#ended ? undefined : this.#accepted;
  }

  get rttSeconds(): number | undefined {
    return this.#channel.rttSeconds;
  }

  /** Packets flow from here on. */
  accept(hello: GatewayHello): void {
    clearTimeout(this.#patience);
    this.#accepted = hello;
  }

  /** Sends a batch and gives it back. @returns false when no more should be sent until `onDrain` */
  send(batch: Parameters<Channel["send"]>[0]): boolean {
    return this.#channel.send(batch);
  }

  /** @param answered is called with the round trip, seconds @returns what forgets it */
  ping(answered: (rttSeconds: number) => void): ReturnType<Channel["ping"]> {
    return this.#channel.ping(answered);
  }

  end(reason: Reason): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#patience);
    this.#channel.close(closeCodes.normal, "");
    this.#onEnd(reason);
    this.#isOver();
  }
}
