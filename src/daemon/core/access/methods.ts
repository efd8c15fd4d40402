/**
 * What each method of the API is, by its full name. `look`: anybody who may connect. `private`: it changes nothing, but what
 * it tells is for those who may change things. `change`: it needs the right to change things, and leaves an audit line.
 */
export type MethodKind = "look" | "private" | "change";

const kinds: Readonly<Record<string, MethodKind>> = {
  "grpc.health.v1.Health/Check": "look",
  "grpc.health.v1.Health/Watch": "look",
  "vpnd.v1.DaemonService/GetStatus": "look",
  "vpnd.v1.DaemonService/GetVersion": "look",
  "vpnd.v1.NetworkService/ListNetworks": "look",
  "vpnd.v1.NetworkService/GetNetwork": "look",
  "vpnd.v1.NetworkService/Join": "change",
  "vpnd.v1.NetworkService/Leave": "change",
  "vpnd.v1.NetworkService/Up": "change",
  "vpnd.v1.NetworkService/Down": "change",
  "vpnd.v1.PeerService/ListPeers": "look",
  "vpnd.v1.PeerService/WatchPeers": "look",
  "vpnd.v1.PeerService/GetPeer": "look",
  "vpnd.v1.PeerService/Ping": "look",
  "vpnd.v1.PeerService/RemovePeer": "change",
  "vpnd.v1.StatsService/GetStats": "look",
  "vpnd.v1.StatsService/WatchStats": "look",
  "vpnd.v1.KeyService/GetPskStatus": "private",
  "vpnd.v1.KeyService/SetPsk": "change",
  "vpnd.v1.FilterService/ListRules": "look",
  "vpnd.v1.FilterService/AddRule": "change",
  "vpnd.v1.FilterService/RemoveRule": "change",
  "vpnd.v1.FilterService/ClearRules": "change",
  "vpnd.v1.FilterService/SetDefault": "change",
  "vpnd.v1.EventService/ListEvents": "look",
  "vpnd.v1.EventService/WatchEvents": "look",
  "vpnd.v1.MetricsService/GetMetrics": "look",
  "vpnd.v1.RouteService/ListRoutes": "look",
  "vpnd.v1.RouteService/OfferRoutes": "change",
  "vpnd.v1.RouteService/WithdrawRoutes": "change",
  "vpnd.v1.RouteService/AcceptRoutes": "change",
  "vpnd.v1.RouteService/RejectRoutes": "change",
  "vpnd.v1.SettingsService/ChangeSettings": "change",
  "vpnd.v1.SystemService/GetPlan": "look",
  "vpnd.v1.SystemService/GetFootprint": "look",
  "vpnd.v1.KillSwitchService/GetKillSwitch": "look",
  "vpnd.v1.KillSwitchService/KillSwitchOn": "change",
  "vpnd.v1.KillSwitchService/KillSwitchOff": "change",
  "vpnd.v1.GatewayService/GetGateway": "private",
  "vpnd.v1.GatewayService/WatchGateway": "private",
  "vpnd.v1.GatewayService/ListGatewayUsers": "private",
  "vpnd.v1.GatewayService/StartGateway": "change",
  "vpnd.v1.GatewayService/StopGateway": "change",
  "vpnd.v1.GatewayService/KickClients": "change",
  "vpnd.v1.GatewayService/AddGatewayUser": "change",
  "vpnd.v1.GatewayService/RevokeGatewayUser": "change",
  "vpnd.v1.LogService/QueryLog": "private",
  "vpnd.v1.LogService/FollowLog": "private",
  "vpnd.v1.LogService/GetLogView": "private",
  "vpnd.v1.LogService/PruneLog": "change",
  "vpnd.v1.LogService/ReplayLog": "change",
  "vpnd.v1.ExitNodeService/ListExitNodes": "look",
  "vpnd.v1.ExitNodeService/OfferExitNode": "change",
  "vpnd.v1.ExitNodeService/WithdrawExitNode": "change",
  "vpnd.v1.ExitNodeService/UseExitNode": "change",
  "vpnd.v1.ExitNodeService/StopExitNode": "change",
};

/** Of a method that the table lacks: the most guarded kind. */
export function methodKind(service: string, method: string): MethodKind {
  return kinds[`${service}/${method}`] ?? "change";
}

export const classifiedMethods: readonly string[] = Object.keys(kinds);

/** The command that people know it by: "RemovePeer" is "remove-peer". */
export function commandName(method: string): string {
  return method.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
}
