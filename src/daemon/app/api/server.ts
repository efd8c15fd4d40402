import { once } from "node:events";
import type { Server as SocketServer } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { Health } from "../../../common/gen/grpc/health/v1/health_pb.js";
import { DaemonService } from "../../../common/gen/vpnd/v1/daemon_pb.js";
import { KeyService } from "../../../common/gen/vpnd/v1/key_pb.js";
import { NetworkService } from "../../../common/gen/vpnd/v1/network_pb.js";
import { PeerService } from "../../../common/gen/vpnd/v1/peer_pb.js";
import { StatsService } from "../../../common/gen/vpnd/v1/stats_pb.js";
import { handlers, type ServiceImpl } from "../../../common/grpc/server.js";
import { serviceDefinition } from "../../../common/grpc/service-definition.js";
import type { MethodTable, ServiceDesc } from "../../../common/grpc/service-types.js";
import { listenOnSocket } from "../../io/api-socket.js";
import type { Networks } from "../networks.js";
import { type About, daemonService, keyService } from "./daemon-service.js";
import { healthService } from "./health-service.js";
import { networkService } from "./network-service.js";
import { peerService } from "./peer-service.js";
import { statsService } from "./stats-service.js";

export interface ApiOptions {
  path: string;
  /** Group that may connect; undefined: only the owner. */
  group: number | undefined;
  networks: Networks;
  about: About;
  log: Logger;
}

/** How long calls that are being answered may hold up a stop, milliseconds. */
const drainMs = 2_000;

/**
 * The control API on a Unix socket. The socket is ours and each connection is handed to gRPC, so that who connects can be
 * looked at first.
 */
export class Api {
  readonly #socket: SocketServer;
  readonly #grpc: Server;
  readonly #stopping: AbortController;

  private constructor(socket: SocketServer, grpc: Server, stopping: AbortController) {
    this.#socket = socket;
    this.#grpc = grpc;
    this.#stopping = stopping;
  }

  /** Listens; from its return on calls are answered. @throws VpnError when the socket can't be had */
  static async open(options: ApiOptions): Promise<Api> {
    const stopping = new AbortController();
    const grpc = makeServer(options, stopping.signal);
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const socket = await listenOnSocket(options.path, options.group, (connection) => {
      connection.on("error", (error) => options.log.debug({ err: error }, "API connection failed"));
      injector.injectConnection(connection);
    });
    return new Api(socket, grpc, stopping);
  }

  /** Ends watches, lets short calls finish, closes. Idempotent. */
  async close(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    const closed = once(this.#socket, "close");
    this.#socket.close();
    const timer = setTimeout(() => this.#grpc.forceShutdown(), drainMs);
    await new Promise<void>((resolve) => this.#grpc.tryShutdown(() => resolve()));
    clearTimeout(timer);
    this.#grpc.forceShutdown();
    await closed;
  }
}

function makeServer({ networks, about, log }: ApiOptions, stopping: AbortSignal): Server {
  const server = new Server({
    "grpc.max_concurrent_streams": 64,
    "grpc.max_receive_message_length": 1 << 20,
    "grpc.max_send_message_length": 16 << 20,
  });
  const onUnexpected = (method: string, error: unknown): void =>
    log.error({ method, err: error }, "call failed");
  const add = <M extends MethodTable>(desc: ServiceDesc<M>, impl: ServiceImpl<M>): void =>
    server.addService(serviceDefinition(desc), handlers(desc, impl, { onUnexpected }));
  const services = [DaemonService, NetworkService, PeerService, StatsService, KeyService];
  add(DaemonService, daemonService(networks, about));
  add(NetworkService, networkService(networks));
  add(PeerService, peerService(networks, stopping));
  add(StatsService, statsService(networks, stopping));
  add(KeyService, keyService(networks));
  add(
    Health,
    healthService(
      services.map((desc) => desc.typeName),
      stopping,
    ),
  );
  return server;
}
