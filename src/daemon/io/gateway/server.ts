/** The gateway's port: HTTP, of which only the WebSocket handshake is answered. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { HostPort } from "../../../common/endpoint.js";
import { formatEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import { gatewayHeaders, gatewayProtocol, largestMessage } from "../../../common/gateway/hello.js";
import { remoteOf } from "../../core/gateway/remote.js";
import { errorCode } from "../atomic-file.js";
import type { MakeTcpSocket } from "../tcp/sockets.js";
import type { TlsPair } from "./tls-files.js";

/** Who wants to be a client. */
export interface Knock {
  /** "ADDR:PORT", or the address alone that a proxy on this machine tells. */
  remote: string;
  /** Path of the URL. */
  path: string;
  /** It speaks `gatewayProtocol`. */
  own: boolean;
  /** It may come back to its addresses. */
  returns: boolean;
  /** Empty: none. */
  token: string;
  resume: string;
  name: string;
}

/**
 * What becomes of it: it is served, told off by a WebSocket's close code, or by an HTTP status. `accept` gets nothing when the handshake failed
 * after all.
 */
export type Admission =
  | { accept: (socket: WebSocket | undefined) => void }
  | { dismiss: { code: number; text: string } }
  | { refuse: 401 | 403 | 404 | 426 | 429 | 503 };

export interface GatewayServerOptions {
  /** Of a socket that is bound; the server's from here. */
  fd: number;
  /** Absent: without TLS. */
  tls?: TlsPair;
  admit: (knock: Knock) => Promise<Admission>;
  /** A connection ended before it was served; `why` is a word with hyphens. */
  onRefused: (why: string) => void;
}

const handshakeMs = 10_000;
/** Who is told off has so long to say goodbye, milliseconds. */
const farewellMs = 2_000;
/** Connections that have not been served yet. When there are more, the oldest goes: honest ones say at once what they want. */
const mostKnocking = 512;
const refusals: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  426: "Upgrade Required",
  429: "Too Many Requests",
  503: "Service Unavailable",
};

export class GatewayServer {
  readonly #http: Server;
  /** The same, if it does TLS. */
  readonly #secure: SecureServer | undefined;
  readonly #sockets: WebSocketServer;
  readonly #options: GatewayServerOptions;
  /** By the other end's address and port, which are those of the TLS socket on top, too. */
  readonly #knocking = new Map<string, Socket>();

  private constructor(options: GatewayServerOptions) {
    this.#options = options;
    const limits = {
      headersTimeout: handshakeMs,
      requestTimeout: handshakeMs,
      connectionsCheckingInterval: 2_000,
      keepAliveTimeout: 1_000,
      maxHeaderSize: 16 << 10,
    };
    const { tls } = options;
    this.#secure =
      tls === undefined
        ? undefined
        : createSecureServer({ ...limits, ...tls, handshakeTimeout: handshakeMs });
    const http: Server = this.#secure ?? createServer(limits);
    this.#http = http;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: largestMessage,
      handleProtocols: (asked) => (asked.has(gatewayProtocol) ? gatewayProtocol : false),
    });
    http.on("connection", (socket) => this.#enter(socket));
    http.on("request", (_, response) => {
      options.onRefused("no-websocket");
      response
        .writeHead(426, { connection: "close", upgrade: "websocket" })
        .end("this is a WebSocket gateway\n");
    });
    http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    http.on("clientError", (_, socket) => {
      options.onRefused("bad-request");
      socket.destroy();
    });
    http.on("tlsClientError", (_, socket) => socket.destroy());
  }

  /** Listens. @throws VpnError `conflict` when the port is taken, `failed` otherwise */
  static async open(options: GatewayServerOptions): Promise<GatewayServer> {
    const server = new GatewayServer(options);
    try {
      await new Promise<void>((resolve, reject) => {
        server.#http.once("error", reject);
        server.#http.listen({ fd: options.fd }, resolve);
      });
      return server;
    } catch (error) {
      throw refused("the port", error);
    }
  }

  /** Connections from now on get this certificate. */
  renew(tls: TlsPair): void {
    this.#secure?.setSecureContext(tls);
  }

  /** Stops listening, and cuts off who has not been served yet. Idempotent. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    for (const socket of this.#knocking.values()) socket.destroy();
    this.#http.closeAllConnections();
    await closed;
  }

  #enter(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    const key = keyOf(socket);
    this.#knocking.set(key, socket);
    // Another connection may come from the same port before this one's end is told.
    socket.once("close", () => {
      if (this.#knocking.get(key) === socket) this.#knocking.delete(key);
    });
    if (this.#knocking.size <= mostKnocking) return;
    const [oldest] = this.#knocking.values();
    this.#options.onRefused("too-many-connections");
    oldest?.destroy();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    this.#options.admit(knockOf(request)).then(
      (admission) => this.#answer(admission, request, socket, head),
      () => socket.destroy(),
    );
  }

  #answer(admission: Admission, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if ("refuse" in admission) {
      const status = `${admission.refuse} ${refusals[admission.refuse] ?? ""}`;
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
        socket.destroy(),
      );
      return;
    }
    let accepted: WebSocket | undefined;
    // It calls back at once, or never.
    this.#sockets.handleUpgrade(request, socket, head, (opened) => {
      if ("dismiss" in admission) return dismiss(opened, admission.dismiss);
      accepted = opened;
      this.#knocking.delete(keyOf(request.socket));
    });
    if ("accept" in admission) admission.accept(accepted);
  }
}

/** It stays among those that knock until it is gone: who is not served must not take up descriptors. */
function dismiss(socket: WebSocket, { code, text }: { code: number; text: string }): void {
  socket.on("error", () => {});
  socket.close(code, text);
  const grace = setTimeout(() => socket.terminate(), farewellMs);
  grace.unref();
  socket.once("close", () => clearTimeout(grace));
}

/**
 * Binds the port of a gateway.
 * @param shared others of this process may bind it, too
 * @returns a descriptor
 * @throws VpnError `conflict` when the port is taken, `failed` otherwise
 */
export function listenOn(make: MakeTcpSocket, { family, address, port }: HostPort, shared: boolean): number {
  try {
    return make({ family, kind: "tcp", port, address, ...(shared && { shared }) }).fd;
  } catch (error) {
    throw refused(formatEndpoint(address, port), error);
  }
}

const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`;

function knockOf(request: IncomingMessage): Knock {
  const header = (name: string): string => {
    const value = request.headers[name];
    return typeof value === "string" ? value.slice(0, 1024) : "";
  };
  const { remoteAddress = "", remotePort = 0 } = request.socket;
  const [path = ""] = (request.url ?? "").split("?", 1);
  const own = header("sec-websocket-protocol")
    .split(",")
    .some((one) => one.trim() === gatewayProtocol);
  return {
    remote: remoteOf(remoteAddress, remotePort, header("x-forwarded-for")),
    path,
    own,
    // Those of fanqiang-poc do not know how.
    returns: own && header(gatewayHeaders.keep) !== "no",
    token: /^Bearer +(\S+)$/i.exec(header("authorization"))?.[1] ?? "",
    resume: header(gatewayHeaders.resume),
    name: header(gatewayHeaders.name),
  };
}

function refused(where: string, error: unknown): VpnError {
  if (error instanceof VpnError) return error;
  const code = errorCode(error);
  if (code === "EADDRINUSE") {
    return new VpnError("conflict", `${where} is in use`, { hint: "choose another --listen", cause: error });
  }
  if (code === "EADDRNOTAVAIL") {
    const hint = "see its addresses: ip -br addr";
    return new VpnError("failed", `this machine does not have the address of ${where}`, {
      hint,
      cause: error,
    });
  }
  return new VpnError("failed", `cannot listen on ${where}: ${VpnError.from(error).message}`, {
    cause: error,
  });
}
