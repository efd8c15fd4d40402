/** TCP sockets of links, all from the one maker, so that marks hold from the first packet on. */
import { createServer, type Server, Socket, type SocketConstructorOpts } from "node:net";
import { formatEndpoint, parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import { errorCode } from "../atomic-file.js";

/** As `makeSocket` of native.ts. */
export type MakeTcpSocket = (options: {
  family: 4 | 6;
  kind: "tcp";
  port: number;
  address?: string;
  /** With others for the same port. */
  shared?: boolean;
}) => { fd: number; port: number };

const connectMs = 10_000;
/** Keepalive probes begin when nothing came for this long. */
const keepAliveMs = 5_000;

/** @param endpoint "ADDR:PORT" or "[ADDR]:PORT" @throws VpnError `failed` */
export function dial(make: MakeTcpSocket, endpoint: string, signal: AbortSignal): Promise<Socket> {
  const target = parseEndpoint(endpoint);
  if (target === undefined) return Promise.reject(new VpnError("internal", `${endpoint} is no endpoint`));
  let socket: Socket;
  try {
    socket = adopt(make({ family: target.family, kind: "tcp", port: 0 }).fd);
  } catch (error) {
    return Promise.reject(unreachable(endpoint, error));
  }
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      done();
      socket.on("error", () => {});
      socket.destroy();
      reject(unreachable(endpoint, error));
    };
    const onAbort = (): void => fail(signal.reason);
    const timer = setTimeout(
      () => fail(Object.assign(new Error("time-out"), { code: "ETIMEDOUT" })),
      connectMs,
    );
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", fail);
    socket.connect({ host: target.address, port: target.port }, () => {
      done();
      resolve(prepared(socket));
    });
  });
}

/** No Nagle: frames are written whole. */
export function prepared(socket: Socket): Socket {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveMs);
  return socket;
}

/** "ADDR:PORT" of the other end. */
export function remoteOf(socket: Socket): string {
  return formatEndpoint(socket.remoteAddress ?? "", socket.remotePort ?? 0);
}

/**
 * Listens at one address, or at all addresses of both families.
 * @throws VpnError `conflict` when the port is taken, `failed` otherwise; then nothing is open
 */
export async function listen(
  make: MakeTcpSocket,
  at: { address?: string; port: number },
  onSocket: (socket: Socket) => void,
): Promise<Server[]> {
  const families =
    at.address === undefined ? ([4, 6] as const) : ([at.address.includes(":") ? 6 : 4] as const);
  const servers: Server[] = [];
  try {
    for (const family of families) {
      const fd = bound(make, family, at);
      if (fd === undefined) continue;
      const server = createServer(onSocket);
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ fd }, resolve);
      });
    }
  } catch (error) {
    await close(servers);
    throw refused(at, error);
  }
  if (servers.length === 0) throw new VpnError("failed", "this kernel has neither IPv4 nor IPv6 sockets");
  return servers;
}

export async function close(servers: readonly Server[]): Promise<void> {
  for (const server of servers) await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** Undefined: there is no such family here. */
function bound(
  make: MakeTcpSocket,
  family: 4 | 6,
  at: { address?: string; port: number },
): number | undefined {
  try {
    return make({ family, kind: "tcp", ...at }).fd;
  } catch (error) {
    const missing = ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(errorCode(error) ?? "");
    if (missing && at.address === undefined) return undefined;
    throw error;
  }
}

/** Node would read from a socket that it did not connect itself at once, and fail. */
function adopt(fd: number): Socket {
  const options: SocketConstructorOpts & { manualStart: boolean } = { fd, manualStart: true };
  return new Socket(options);
}

function refused({ address, port }: { address?: string; port: number }, error: unknown): VpnError {
  if (error instanceof VpnError) return error;
  const where = address === undefined ? `TCP port ${port}` : `${formatEndpoint(address, port)}`;
  if (errorCode(error) === "EADDRINUSE") {
    return new VpnError("conflict", `${where} is in use`, {
      hint: "choose another --tcp-listen",
      cause: error,
    });
  }
  if (errorCode(error) === "EADDRNOTAVAIL") {
    return new VpnError("failed", `this machine has no address ${address ?? ""}`, {
      hint: "see its addresses: ip -br addr",
      cause: error,
    });
  }
  return new VpnError("failed", `cannot listen on ${where}: ${VpnError.from(error).message}`, {
    cause: error,
  });
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
};

function unreachable(endpoint: string, error: unknown): VpnError {
  if (error instanceof VpnError) return error;
  const why = reasons[errorCode(error) ?? ""] ?? VpnError.from(error).message;
  return new VpnError("failed", `cannot connect to ${endpoint}: ${why}`, { cause: error });
}
