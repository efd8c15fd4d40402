import { once } from "node:events";
import type { Socket, Server as SocketServer } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type Access, accessOf, type Caller, type ReadAccess } from "../../core/access/access.js";
import { ReaderLimit } from "../../core/access/reader-limit.js";
import { listenOnSocket } from "../../io/api-socket.js";
import { Callers, callerOf } from "../../io/callers.js";
import { type ApiParts, addServices } from "./services.js";

export interface ApiOptions extends ApiParts {
  path: string;
  /** Group that may connect and change things; undefined: only root and vpnd's own user. */
  group: { id: number; name: string } | undefined;
  readAccess: ReadAccess;
  log: Logger;
}

/** How long calls that are being answered may hold up a stop, milliseconds. */
const drainMs = 2_000;

const accesses = ["write", "read", "none"] as const satisfies readonly Access[];

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
    const server = (access: Access) => {
      const grpc = new Server({
        "grpc.max_concurrent_streams": 64,
        "grpc.max_receive_message_length": 1 << 20,
        "grpc.max_send_message_length": 16 << 20,
        "grpc.enable_channelz": 0,
      });
      const caller = (peer: string): Caller | undefined => callers.get(peer);
      const guard = { access, groupName: group?.name, caller, log, onRefused: options.onRefused };
      addServices(grpc, options, guard, stopping.signal);
      return { grpc, injector: grpc.createConnectionInjector(ServerCredentials.createInsecure()) };
    };
    const servers = { write: server("write"), read: server("read"), none: server("none") };
    const policy = { ownUid: process.getuid?.() ?? 0, group: group?.id, readAccess };
    const audience = { group: group?.id, everybody: readAccess === "all" };
    const socket = await listenOnSocket(path, audience, (connection: Socket) => {
      connection.on("error", (error) => log.debug({ err: error }, "API connection failed"));
      try {
        const caller = callerOf(connection);
        const access = accessOf(caller, policy);
        if (access !== "write") {
          if (!readers.enter(caller.uid)) throw new Error(`user ${caller.uid} has too many connections`);
          connection.once("close", () => readers.leave(caller.uid));
        }
        callers.add(connection, caller);
        servers[access].injector.injectConnection(connection);
      } catch (error) {
        // Who cannot be told from a stranger is one; a connection may also have ended already.
        log.debug({ err: error }, "API connection refused");
        connection.destroy();
      }
    });
    const grpcs = accesses.map((access) => servers[access].grpc);
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
