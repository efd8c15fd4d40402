/** Connects to a gateway again and again, as long as its network runs. */
import { setTimeout as delay } from "node:timers/promises";
import { VpnError } from "../../../common/errors.js";
import { clientDialect } from "../../../common/gateway/client-dialect.js";
import { dialGateway } from "../../../common/gateway/dial.js";
import { backoffMs } from "../../core/backoff.js";
import type { Endpoint } from "../../core/engine.js";
import { firstHop, type GatewayClientOptions } from "../../core/gateway/client-options.js";
import { refuseLoop } from "../../core/gateway/refuse-loop.js";
import { dial, type MakeTcpSocket } from "../../io/tcp/sockets.js";
import type { Opened } from "./gateway-connection.js";

export interface GatewayDiallingOptions {
  /** As they are at the time of an attempt. */
  gateway: () => GatewayClientOptions;
  headers: () => Record<string, string>;
  makeSocket: MakeTcpSocket;
  /** Looks "HOST:PORT" up; never rejects. */
  resolve: (server: string) => Promise<Endpoint[]>;
  /** Where the gateway, or its proxy, is looked for. */
  onEndpoints: (endpoints: readonly Endpoint[]) => void;
  /** The connection is the receiver's; `over` resolves at its end. */
  onOpened: (opened: Opened) => { over: Promise<void> };
  onFailure: (error: VpnError) => void;
}

const redial = { firstMs: 500, maxMs: 30_000 };
/** A connection that lasted so long was a good one, milliseconds. */
const goodMs = 10_000;

export class GatewayDialling {
  readonly #options: GatewayDiallingOptions;
  readonly #stopping = new AbortController();
  /** Of the connection that there is, or is attempted, or waited for. */
  #attempt = new AbortController();
  #done: Promise<void> = Promise.resolve();

  constructor(options: GatewayDiallingOptions) {
    this.#options = options;
  }

  start(): void {
    this.#done = this.#dialAll();
  }

  /** At once, whatever it waits for; the receiver ends the connection that there is. */
  again(): void {
    this.#attempt.abort(new VpnError("cancelled", "the settings changed"));
  }

  /** The receiver ends the connection that there is. */
  stop(): Promise<void> {
    const stopped = new VpnError("cancelled", "the network was stopped");
    this.#stopping.abort(stopped);
    this.#attempt.abort(stopped);
    return this.#done;
  }

  async #dialAll(): Promise<void> {
    for (let failures = 0; !this.#stopping.signal.aborted; ) {
      this.#attempt = new AbortController();
      const { signal } = this.#attempt;
      const began = performance.now();
      const error = await this.#dialOnce(signal);
      if (this.#stopping.signal.aborted) return;
      if (signal.aborted) {
        failures = 0;
        continue;
      }
      failures = error === undefined && performance.now() - began > goodMs ? 1 : failures + 1;
      if (error !== undefined) this.#options.onFailure(error);
      await delay(backoffMs(redial, failures, Math.random()), undefined, { signal, ref: false }).catch(
        () => {},
      );
    }
  }

  /** Connects, and returns when the connection is over; with an error when there was none. */
  async #dialOnce(signal: AbortSignal): Promise<VpnError | undefined> {
    const gateway = this.#options.gateway();
    const hop = firstHop(gateway);
    let error = new VpnError("failed", `${hop} has no address`, { hint: "check the name and DNS" });
    const endpoints = await this.#options.resolve(hop);
    if (endpoints.length > 0) this.#options.onEndpoints(endpoints);
    for (const endpoint of endpoints) {
      if (signal.aborted) return error;
      try {
        const connection = await this.#open(endpoint, signal);
        await connection.over;
        return undefined;
      } catch (thrown) {
        error = VpnError.from(thrown);
      }
    }
    return error;
  }

  #open(endpoint: Endpoint, signal: AbortSignal): Promise<{ over: Promise<void> }> {
    const { makeSocket, headers, onOpened } = this.#options;
    const gateway = this.#options.gateway();
    refuseLoop(endpoint, gateway.routes);
    const dialect = clientDialect(gateway);
    const { url, proxy } = gateway;
    const options = {
      url,
      ...(proxy !== undefined && { proxy }),
      connect: (signal: AbortSignal) => dial(makeSocket, endpoint, signal),
      headers: headers(),
      subprotocols: dialect.subprotocols,
      signal,
    };
    return dialGateway(options, (socket, cipher) =>
      onOpened({ socket, dialect, endpoint, ...(cipher !== undefined && { cipher }) }),
    );
  }
}
