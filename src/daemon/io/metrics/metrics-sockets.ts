/** Where metrics are served: a Unix socket beside the API's, and an address if one is asked for. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import { formatEndpoint, type HostPort } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import { type MetricsSource, metricsHttp } from "../../../common/metrics-http.js";
import { listenOnSocket, type SocketAudience } from "../api-socket.js";
import { errorCode } from "../atomic-file.js";

const idleMs = 10_000;

export interface Closeable {
  /** Where it listens: a path, or "ADDR:PORT" with the real port. */
  readonly where: string;
  close(): Promise<void>;
}

/** "metrics.sock" beside "vpnd.sock"; beside any other "NAME.sock" it is "NAME-metrics.sock", so that several never meet. */
export function metricsSocketPath(apiSocket: string): string {
  const name = basename(apiSocket).replace(/\.sock$/, "");
  return join(dirname(apiSocket), name === "vpnd" ? "metrics.sock" : `${name}-metrics.sock`);
}

/** @throws VpnError as `listenOnSocket` */
export async function serveMetricsOnSocket(
  path: string,
  audience: SocketAudience,
  source: MetricsSource,
): Promise<Closeable> {
  const http = metricsHttp(source);
  // An HTTP server that does not listen itself neither counts its connections nor ends idle ones.
  const open = new Set<Socket>();
  const server = await listenOnSocket(path, audience, (connection) => {
    open.add(connection);
    connection.once("close", () => open.delete(connection));
    connection.on("error", () => {});
    connection.setTimeout(idleMs, () => connection.destroy());
    http.emit("connection", connection);
  });
  return {
    where: path,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const connection of open) connection.destroy();
      await closed;
    },
  };
}

/** @throws VpnError `failed` naming `--metrics` */
export async function serveMetricsOnAddress(at: HostPort, source: MetricsSource): Promise<Closeable> {
  const server = metricsHttp(source);
  try {
    server.listen({ host: at.address, port: at.port, ipv6Only: true });
    await once(server, "listening");
  } catch (error) {
    const where = formatEndpoint(at.address, at.port);
    const why = errorCode(error) === "EADDRINUSE" ? "another program has it" : (errorCode(error) ?? "error");
    throw new VpnError("failed", `cannot serve metrics on ${where}: ${why}`, {
      hint: "choose another address: --metrics ADDR:PORT",
      cause: error,
    });
  }
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : at.port;
  return {
    where: formatEndpoint(at.address, port),
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
