/** Plain HTTP for a metrics collector: GET /metrics and nothing else. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface MetricsSource {
  contentType: string;
  /** Everything, in the Prometheus text format. */
  text(): Promise<string>;
}

const maxConnections = 16;
const requestTimeoutMs = 5000;

/** A server that does not listen yet. */
export function metricsHttp(source: MetricsSource): Server {
  const server = createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
    answer(request, response, source).catch(() => response.destroy());
  });
  server.maxConnections = maxConnections;
  server.headersTimeout = requestTimeoutMs;
  return server;
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
