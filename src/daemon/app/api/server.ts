import { once } from "node:events";
import type { Socket, Server as SocketServer } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type Access, accessOf, type Caller, type ReadAccess } from "../../core/access/access.js";
import { ReaderLimit } from "../../core/access/reader-limit.js";
import { listenOnSocket } from "../../io/api-socket.js";
import { Callers, callerOf } from "../../io/callers.js";
import type { Rejection } from "../../io/metrics/metrics.js";
import { Connections } from "./connections.js";
import { type ApiParts, addServices } from "./services.js";

export interface ApiOptions extends ApiParts {
  path: string;
  /** Group that may connect and change things; undefined: only root and vpnd's own user. */
  group: { id: number; name: string } | undefined;
  readAccess: ReadAccess;
  /** Called for each connection that vpnd ends. */
  onRejected: (reason: Rejection) => void;
  log: Logger;
}

/**
 * What has no call is ended, what has one when it answers no ping; a program that is only stopped for a moment keeps its calls.
 * Not sooner: when vpnd has no time for seconds, a first call may be waiting in a connection that looks idle.
 */
const deadConnections = {
  "grpc.max_connection_idle_ms": 10_000,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 20_000,
};

/** How long calls that are being answered may hold up a stop, milliseconds. */
const drainMs = 2_000;

/**
 * The control API on a Unix socket. The socket is ours: the kernel says who connects, and the connection is handed to the
 * gRPC server that has what this caller may use.
 */
export class Api {
  readonly #socket: SocketServer;
  readonly #servers: readonly Server[];
  readonly #stopping: AbortController;

  private constructor(socket: SocketServer, servers: readonly Server[], stopping: AbortController) {
    this.#socket = socket;
    this.#servers = servers;
    this.#stopping = stopping;
  }

  /** Listens; from its return on calls are answered. @throws VpnError when the socket can't be had */
  static async open(options: ApiOptions): Promise<Api> {
    const { path, group, readAccess, log } = options;
    const stopping = new AbortController();
    const callers = new Callers();
    const readers = new ReaderLimit();
    const server = (access: Access | "full") => {
      const grpc = new Server({
        "grpc.max_concurrent_streams": 64,
        "grpc.max_receive_message_length": 1 << 20,
        "grpc.max_send_message_length": 16 << 20,
        "grpc.enable_channelz": 0,
        ...deadConnections,
      });
      const caller = (peer: string): Caller | undefined => callers.get(peer);
      const guard = {
        access,
        groupName: group?.name,
        caller,
        log,
        onRefused: options.onRefused,
      };
      addServices(grpc, options, guard, stopping.signal);
      return { grpc, injector: grpc.createConnectionInjector(ServerCredentials.createInsecure()) };
    };
    const servers = {
      write: server("write"),
      read: server("read"),
      none: server("none"),
      full: server("full"),
    };
    const connections = new Connections(options.onRejected, log);
    const policy = { ownUid: process.getuid?.() ?? 0, group: group?.id, readAccess };
    const audience = { group: group?.id, everybody: readAccess === "all" };
    const socket = await listenOnSocket(path, audience, (connection: Socket) => {
      connections.enter(connection);
      const turnAway = (reason: Rejection): void => {
        if (connections.turnAway(connection, reason)) servers.full.injector.injectConnection(connection);
      };
      try {
        const caller = callerOf(connection);
        const access = accessOf(caller, policy);
        if (access !== "write") {
          if (!readers.enter(caller.uid)) {
            connections.makeRoom(connection);
            if (!readers.enter(caller.uid)) return turnAway("user-limit");
          }
          connections.whenGone(connection, () => readers.leave(caller.uid));
        }
        if (!connections.serve(connection)) return turnAway("limit");
        callers.add(connection, caller);
        servers[access].injector.injectConnection(connection);
      } catch (error) {
        // Who cannot be told from a stranger is one; a connection may also have ended already.
        log.debug({ err: error }, "API connection refused");
        connection.destroy();
      }
    });
    connections.watch(socket);
    const grpcs = Object.values(servers).map(({ grpc }) => grpc);
    return new Api(socket, grpcs, stopping);
  }

  /** Ends watches, lets short calls finish, closes. Idempotent. */
  async close(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await Promise.all(this.#servers.map(shutDown));
    await closed;
  }
}

async function shutDown(server: Server): Promise<void> {
  const timer = setTimeout(() => server.forceShutdown(), drainMs);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(timer);
  server.forceShutdown();
}
