import { connect } from "node:net";
import { resolve } from "node:path";
import { VpnError } from "../../common/errors.js";
import type { DaemonService } from "../../common/gen/vpnd/v1/daemon_pb.js";
import type { EventService } from "../../common/gen/vpnd/v1/event_pb.js";
import type { ExitNodeService } from "../../common/gen/vpnd/v1/exit_node_pb.js";
import type { FilterService } from "../../common/gen/vpnd/v1/filter_pb.js";
import type { GatewayService } from "../../common/gen/vpnd/v1/gateway_pb.js";
import type { KeyService } from "../../common/gen/vpnd/v1/key_pb.js";
import type { KillSwitchService } from "../../common/gen/vpnd/v1/kill_switch_pb.js";
import type { LogService } from "../../common/gen/vpnd/v1/log_pb.js";
import type { MetricsService } from "../../common/gen/vpnd/v1/metrics_pb.js";
import type { NetworkService } from "../../common/gen/vpnd/v1/network_pb.js";
import type { PeerService } from "../../common/gen/vpnd/v1/peer_pb.js";
import type { RouteService } from "../../common/gen/vpnd/v1/route_pb.js";
import type { SettingsService } from "../../common/gen/vpnd/v1/settings_pb.js";
import type { StatsService } from "../../common/gen/vpnd/v1/stats_pb.js";
import type { SystemService } from "../../common/gen/vpnd/v1/system_pb.js";
import type { TypedClient } from "../../common/grpc/client.js";

/** vpnd's control API. Failures are VpnErrors. */
export interface Api {
  readonly daemon: TypedClient<(typeof DaemonService)["method"]>;
  readonly events: TypedClient<(typeof EventService)["method"]>;
  readonly filter: TypedClient<(typeof FilterService)["method"]>;
  readonly gateway: TypedClient<(typeof GatewayService)["method"]>;
  readonly exitNode: TypedClient<(typeof ExitNodeService)["method"]>;
  readonly keys: TypedClient<(typeof KeyService)["method"]>;
  readonly killSwitch: TypedClient<(typeof KillSwitchService)["method"]>;
  readonly log: TypedClient<(typeof LogService)["method"]>;
  readonly metrics: TypedClient<(typeof MetricsService)["method"]>;
  readonly networks: TypedClient<(typeof NetworkService)["method"]>;
  readonly peers: TypedClient<(typeof PeerService)["method"]>;
  readonly routes: TypedClient<(typeof RouteService)["method"]>;
  readonly settings: TypedClient<(typeof SettingsService)["method"]>;
  readonly stats: TypedClient<(typeof StatsService)["method"]>;
  readonly system: TypedClient<(typeof SystemService)["method"]>;
  close(): void;
}

/** Connects to vpnd; gRPC is loaded here, and a service by the first call of it, so that commands start fast. */
export async function dial(socket: string): Promise<Api> {
  await probe(socket);
  const { Connection } = await import("../../common/grpc/client.js");
  const connection = new Connection(`unix:${resolve(socket)}`);
  return {
    daemon: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/daemon_pb.js")).DaemonService,
      {},
    ),
    events: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/event_pb.js")).EventService,
      { watchEvents: true },
    ),
    filter: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/filter_pb.js")).FilterService,
      {},
    ),
    gateway: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/gateway_pb.js")).GatewayService,
      { watchGateway: true },
    ),
    exitNode: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/exit_node_pb.js")).ExitNodeService,
      {},
    ),
    keys: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/key_pb.js")).KeyService,
      {},
    ),
    killSwitch: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/kill_switch_pb.js")).KillSwitchService,
      {},
    ),
    log: connection.lazyService(async () => (await import("../../common/gen/vpnd/v1/log_pb.js")).LogService, {
      queryLog: true,
      followLog: true,
      replayLog: true,
    }),
    metrics: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/metrics_pb.js")).MetricsService,
      {},
    ),
    networks: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/network_pb.js")).NetworkService,
      {},
    ),
    peers: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/peer_pb.js")).PeerService,
      { watchPeers: true, ping: true },
    ),
    routes: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/route_pb.js")).RouteService,
      {},
    ),
    settings: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/settings_pb.js")).SettingsService,
      {},
    ),
    stats: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/stats_pb.js")).StatsService,
      { watchStats: true },
    ),
    system: connection.lazyService(
      async () => (await import("../../common/gen/vpnd/v1/system_pb.js")).SystemService,
      {},
    ),
    close: () => connection.close(),
  };
}

/** gRPC reports every failed connection alike; one plain connect before it tells the cases apart. */
function probe(path: string): Promise<void> {
  return new Promise((done, fail) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      done();
    });
    socket.once("error", (error: NodeJS.ErrnoException) => fail(explainConnect(path, error)));
  });
}

/** What a failed connect to vpnd's socket means for the user. */
export function explainConnect(path: string, error: NodeJS.ErrnoException): VpnError {
  const start = "start it: sudo systemctl start vpnd";
  switch (error.code) {
    case "ENOENT":
    case "ENOTDIR":
      return new VpnError("daemon-down", `vpnd is not running (no socket at ${path})`, {
        hint: start,
        cause: error,
      });
    case "ECONNREFUSED":
    case "ENOTSOCK":
      return new VpnError("daemon-down", `vpnd is not running (nobody listens at ${path})`, {
        hint: start,
        cause: error,
      });
    case "EACCES":
    case "EPERM":
      return new VpnError("not-permitted", `you may not use vpnd (no access to ${path})`, {
        hint: 'join its group: sudo usermod -aG vpnd "$USER" and log in again; or use sudo',
        cause: error,
      });
    case "EINVAL":
      return new VpnError("usage", `no socket can have this path: ${path}`, {
        hint: "paths of sockets have at most 107 bytes: --socket PATH",
        cause: error,
      });
    default:
      return new VpnError("daemon-down", `cannot reach vpnd at ${path}: ${error.code ?? "unknown error"}`, {
        hint: "look at its log: journalctl -u vpnd -n 50",
        cause: error,
      });
  }
}
