import { join } from "node:path";
import type { Logger } from "pino";
import type { HostPort } from "../../common/endpoint.js";
import { VpnError } from "../../common/errors.js";
import type { SocketAudience } from "../io/api-socket.js";
import { EventFile } from "../io/events/event-file.js";
import { LoopLag } from "../io/metrics/loop-lag.js";
import { Metrics } from "../io/metrics/metrics.js";
import {
  type Closeable,
  metricsSocketPath,
  serveMetricsOnAddress,
  serveMetricsOnSocket,
} from "../io/metrics/metrics-sockets.js";
import { EventJournal } from "./event-journal.js";
import type { Gateway } from "./gateway/gateway.js";
import { measureGateway, measureNetworks } from "./measure.js";
import type { Networks } from "./networks.js";

export interface ObserverOptions {
  stateDir: string;
  /** The API's socket; the one of the metrics lies beside it. */
  socket: string;
  audience: SocketAudience;
  /** Where metrics are served besides; undefined: nowhere. */
  metricsAt: HostPort | undefined;
  /** Whether each peer has series of its own. */
  metricsPerPeer: boolean;
  version: string;
  gateway: Gateway;
  log: Logger;
}

/** Who watches the networks and tells of them: events and metrics. */
export class Observers {
  readonly events: EventJournal;
  readonly metrics: Metrics;
  readonly #options: ObserverOptions;
  readonly #lag = new LoopLag();
  readonly #served: Closeable[] = [];

  constructor(networks: Networks, options: ObserverOptions) {
    this.#options = options;
    const file = new EventFile(join(options.stateDir, "events.jsonl"));
    const events = new EventJournal(networks, file, Date.now, options.log);
    this.events = events;
    this.metrics = new Metrics({
      version: options.version,
      perPeer: options.metricsPerPeer,
      networks: () => measureNetworks(networks),
      gateway: () => measureGateway(options.gateway),
      events: () => events.counts,
      eventsLost: () => events.lost,
      loopLag: (percentile) => this.#lag.at(percentile),
    });
  }

  /** Call before the networks are brought back, so that this is told too. */
  start(): Promise<void> {
    return this.events.start();
  }

  /** Serves the metrics. @throws VpnError when the address asked for can't be had; a socket that can't is only logged */
  async serve(): Promise<void> {
    const { socket, audience, metricsAt, log } = this.#options;
    if (metricsAt !== undefined) {
      const served = await serveMetricsOnAddress(metricsAt, this.metrics);
      this.#served.push(served);
      log.info({ address: served.where }, "serving metrics");
    }
    try {
      this.#served.push(await serveMetricsOnSocket(metricsSocketPath(socket), audience, this.metrics));
    } catch (error) {
      log.warn({ reason: VpnError.from(error).message }, "metrics are not served on a socket");
    }
  }

  /** Call when the networks are down, so that this is told too. */
  async stop(): Promise<void> {
    await Promise.all(this.#served.map((one) => one.close()));
    await this.events.stop();
    this.#lag.stop();
  }
}
