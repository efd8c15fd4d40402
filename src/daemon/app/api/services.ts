import type { Server } from "@grpc/grpc-js";
import { Health } from "../../../common/gen/grpc/health/v1/health_pb.js";
import { DaemonService } from "../../../common/gen/vpnd/v1/daemon_pb.js";
import { EventService } from "../../../common/gen/vpnd/v1/event_pb.js";
import { ExitNodeService } from "../../../common/gen/vpnd/v1/exit_node_pb.js";
import { FilterService } from "../../../common/gen/vpnd/v1/filter_pb.js";
import { GatewayService } from "../../../common/gen/vpnd/v1/gateway_pb.js";
import { KeyService } from "../../../common/gen/vpnd/v1/key_pb.js";
import { KillSwitchService } from "../../../common/gen/vpnd/v1/kill_switch_pb.js";
import { LogService } from "../../../common/gen/vpnd/v1/log_pb.js";
import { MetricsService } from "../../../common/gen/vpnd/v1/metrics_pb.js";
import { NetworkService } from "../../../common/gen/vpnd/v1/network_pb.js";
import { PeerService } from "../../../common/gen/vpnd/v1/peer_pb.js";
import { RouteService } from "../../../common/gen/vpnd/v1/route_pb.js";
import { SettingsService } from "../../../common/gen/vpnd/v1/settings_pb.js";
import { StatsService } from "../../../common/gen/vpnd/v1/stats_pb.js";
import { SystemService } from "../../../common/gen/vpnd/v1/system_pb.js";
import { handlers, type ServiceImpl } from "../../../common/grpc/server.js";
import { serviceDefinition } from "../../../common/grpc/service-definition.js";
import type { MethodTable, ServiceDesc } from "../../../common/grpc/service-types.js";
import type { MetricsSource } from "../../../common/metrics-http.js";
import type { SystemDoor } from "../../io/system/door.js";
import type { EventJournal } from "../event-journal.js";
import type { ExitNode } from "../exit-node/exit-node.js";
import type { Gateway } from "../gateway/gateway.js";
import type { KillSwitch } from "../kill-switch/kill-switch.js";
import type { Networks } from "../networks.js";
import { type About, daemonService } from "./daemon-service.js";
import { eventService } from "./event-service.js";
import { exitNodeService } from "./exit-node-service.js";
import { filterService } from "./filter-service.js";
import { gatewayService } from "./gateway-service.js";
import { type Guard, guarded } from "./guard.js";
import { healthService } from "./health-service.js";
import { keyService } from "./key-service.js";
import { killSwitchService } from "./kill-switch-service.js";
import { logService } from "./log-service.js";
import { networkService } from "./network-service.js";
import { peerService } from "./peer-service.js";
import { routeService } from "./route-service.js";
import { settingsService } from "./settings-service.js";
import { statsService } from "./stats-service.js";
import { systemService } from "./system-service.js";

/** What the services answer from. */
export interface ApiParts {
  networks: Networks;
  door: SystemDoor;
  killSwitch: KillSwitch;
  gateway: Gateway;
  exitNode: ExitNode;
  about: About;
  /** Path of the socket. */
  path: string;
  events: EventJournal;
  metrics: MetricsSource;
  /** Called for each call that was not permitted. */
  onRefused: () => void;
}

/** All services but Health, for callers and tests that need the whole list. */
export const services = [
  DaemonService,
  NetworkService,
  PeerService,
  StatsService,
  KeyService,
  EventService,
  MetricsService,
  RouteService,
  SettingsService,
  SystemService,
  KillSwitchService,
  FilterService,
  GatewayService,
  ExitNodeService,
  LogService,
] as const;

/** Gives a server all services, each method as the guard lets its callers have it. */
export function addServices(server: Server, parts: ApiParts, guard: Guard, stopping: AbortSignal): void {
  const { networks, door, killSwitch, gateway, exitNode, about, path, events, metrics } = parts;
  const onUnexpected = (method: string, error: unknown): void =>
    guard.log.error({ method, err: error }, "call failed");
  const add = <M extends MethodTable>(desc: ServiceDesc<M>, impl: ServiceImpl<NoInfer<M>>): void =>
    server.addService(
      serviceDefinition(desc),
      handlers(desc, guarded<M>(desc, impl, guard), { onUnexpected }),
    );
  add(DaemonService, daemonService(networks, killSwitch, about));
  add(NetworkService, networkService(networks));
  add(PeerService, peerService(networks, stopping));
  add(StatsService, statsService(networks, stopping));
  add(KeyService, keyService(networks));
  add(FilterService, filterService(networks));
  add(EventService, eventService(events, stopping));
  add(MetricsService, {
    getMetrics: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
  });
  add(RouteService, routeService(networks));
  add(SettingsService, settingsService(networks));
  add(
    SystemService,
    systemService(networks, door, killSwitch, gateway, { stateDir: about.stateDir, socket: path }),
  );
  add(KillSwitchService, killSwitchService(killSwitch));
  add(GatewayService, gatewayService(gateway, stopping));
  add(ExitNodeService, exitNodeService(networks, door, exitNode));
  add(LogService, logService(networks, stopping));
  const names = services.map((desc) => desc.typeName);
  add(Health, healthService(names, stopping));
}
