/** The metrics on a TCP address. */
import { once } from "node:events";
import type { Server } from "node:http";
import { formatEndpoint, type HostPort } from "../../common/endpoint.js";
import { type MetricsSource, metricsHttp } from "../../common/metrics-http.js";
import { listenError } from "./listen-error.js";

export class MetricsServer {
  readonly #server: Server;
  /** Where it is bound: with the real port if port 0 was asked for. */
  readonly endpoint: string;

  private constructor(server: Server, endpoint: string) {
    this.#server = server;
    this.endpoint = endpoint;
  }

  /** @throws VpnError naming `--metrics` */
  static async start(at: HostPort, source: MetricsSource): Promise<MetricsServer> {
    const server = metricsHttp(source);
    try {
      server.listen({ host: at.address, port: at.port, ipv6Only: true });
      await once(server, "listening");
    } catch (error) {
      throw listenError(error, "TCP", formatEndpoint(at.address, at.port), "--metrics");
    }
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : at.port;
    return new MetricsServer(server, formatEndpoint(at.address, port));
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
