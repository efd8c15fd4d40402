/** Plain HTTP for a metrics collector: GET /metrics and nothing else. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { formatEndpoint, type HostPort } from "../../common/endpoint.js";
import { listenError } from "./listen-error.js";

export interface MetricsSource {
  contentType: string;
  text(): Promise<string>;
}

const maxConnections = 16;
const requestTimeoutMs = 5000;

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
    const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
      answer(request, response, source).catch(() => response.destroy());
    });
    server.maxConnections = maxConnections;
    server.headersTimeout = requestTimeoutMs;
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

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  source: MetricsSource,
): Promise<void> {
  const plain = { "content-type": "text/plain; charset=utf-8" };
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { ...plain, allow: "GET, HEAD" }).end("use GET\n");
    return;
  }
  if (request.url?.split("?")[0] !== "/metrics") {
    response.writeHead(404, plain).end("metrics are at /metrics\n");
    return;
  }
  const text = await source.text();
  response.writeHead(200, { "content-type": source.contentType }).end(text);
}
