import { formatBytes } from "../../common/format/bytes.js";
import { formatDuration } from "../../common/format/duration.js";
import type { GetStatusResponse } from "../../common/gen/vpnd/v1/daemon_pb.js";
import type { GatewayLink } from "../../common/gen/vpnd/v1/gateway_client_pb.js";
import type { Network, NetworkDetails, Reason } from "../../common/gen/vpnd/v1/network_pb.js";
import type { PostgresLog } from "../../common/gen/vpnd/v1/postgres_pb.js";
import type { TcpLink } from "../../common/gen/vpnd/v1/tcp_pb.js";
import { howToAsk, namesLine } from "./dns-text.js";
import { killSwitchLine } from "./kill-switch-text.js";
import { type Look, plain } from "./look.js";
import { ago } from "./present.js";
import { block, notes, table } from "./table.js";

/** "code: message", or only the half that there is. */
export function reasonText(reason: Reason | undefined): string {
  if (reason === undefined) return "";
  return [reason.code, reason.message].filter((part) => part !== "").join(": ");
}

export function networksText(networks: readonly Network[], look: Look = plain): string {
  if (networks.length === 0) return notes(["no networks; join one: vpnctl join --help"]);
  // Networks that were joined by hand have nothing to show there.
  const declared = networks.some((network) => network.declaredIn !== "");
  return table(
    [
      "NETWORK",
      "CARRIER",
      "STATE",
      "ADDRESS",
      "DEVICE",
      "PEERS",
      "PSK",
      ...(declared ? ["CONFIG"] : []),
      "REASON",
    ],
    networks.map((network) => [
      network.name,
      network.carrier,
      network.state,
      network.virtualIp || "-",
      network.device || "-",
      `${network.peersUp}/${network.peersKnown}`,
      network.pskFingerprint || "-",
      ...(declared ? [network.declaredIn || "-"] : []),
      reasonText(network.reason),
    ]),
    { look, droppable: ["PSK", "CARRIER", "DEVICE", "CONFIG"] },
  );
}

export function networkText(network: Network, details: NetworkDetails | undefined, now: Date): string {
  const servers = details?.servers.map((server) => {
    const heard =
      server.lastHeardSeconds === undefined ? "" : `, heard ${formatDuration(server.lastHeardSeconds)} ago`;
    return ["server", `${server.address} ${server.state}${heard}`] as const;
  });
  return block(`network: ${network.name}`, [
    ["state", network.state],
    ["reason", reasonText(network.reason)],
    ["since", ago(network.since, now)],
    ["carrier", network.badger ? `${network.carrier} (badger)` : network.carrier],
    ["link", linkText(network.tcp)],
    ["database", databaseText(network.postgres)],
    ["gateway", gatewayLinkText(network.gateway)],
    ["declared in", network.declaredIn],
    ["address", network.gateway?.addresses.join(", ") || network.virtualIp],
    ["name", network.nodeName],
    ["names", namesLine(network.dns)],
    ["device", network.device],
    ["mtu", network.mtu === 0 ? undefined : `${network.mtu}${network.mtuAuto ? " (auto)" : ""}`],
    ["psk fingerprint", network.pskFingerprint],
    ["peers", `${network.peersUp} up, ${network.peersKnown} known`],
    ...(servers ?? []),
    ["listen port", details && details.listenPort > 0 ? String(details.listenPort) : undefined],
    ["public endpoint", details?.publicEndpoint],
    ["ciphers", details?.ciphers.join(", ")],
    ["crypto", details?.crypto || undefined],
    ["threads", details === undefined ? undefined : String(details.threads)],
    ["offloads", details === undefined ? undefined : details.offloads.join(", ") || "none"],
    ["socket buffers", buffersText(details)],
    ["node key", details?.nodeKey],
    ...(details?.unknownDestinations ?? []).map(
      (unknown) => ["nobody has", `${unknown.address} (${unknown.packets} packets)`] as const,
    ),
  ]).concat(notes([...(details?.notes ?? []), ...howToAsk([network])]));
}

function linkText(link: TcpLink | undefined): string | undefined {
  if (link === undefined) return undefined;
  const deed = link.role === "listen" ? "listens on" : "connects to";
  return `${deed} ${link.address}${link.tap ? ", Ethernet frames" : ""}, ${link.encrypted ? "encrypted by TLS" : "not encrypted"}`;
}

function databaseText(database: PostgresLog | undefined): string | undefined {
  if (database === undefined) return undefined;
  const { url, fast, encrypted, retentionSeconds, maxBytes, log } = database;
  return [
    url,
    ...(encrypted ? ["payloads encrypted"] : []),
    ...(log === "" ? [] : [`log ${log}`]),
    ...(fast ? ["delivered before it is durable"] : []),
    ...(retentionSeconds > 0 ? [`kept ${formatDuration(retentionSeconds)}`] : []),
    ...(maxBytes > 0n ? [`at most ${formatBytes(Number(maxBytes))}`] : []),
  ].join(", ");
}

function gatewayLinkText(gateway: GatewayLink | undefined): string | undefined {
  if (gateway === undefined) return undefined;
  const { url, proxy, routes, fanqiang, padding } = gateway;
  return [
    url,
    ...(fanqiang ? ["protocol of fanqiang-poc"] : []),
    ...(padding ? ["sizes hidden"] : []),
    ...(proxy === "" ? [] : [`by way of ${proxy}`]),
    ...(routes.length === 0 ? [] : [`for ${routes.join(", ")}`]),
  ].join(", ");
}

function buffersText(details: NetworkDetails | undefined): string | undefined {
  if (!details?.receiveBufferBytes) return undefined;
  const [receive, send] = [details.receiveBufferBytes, details.sendBufferBytes].map((bytes) =>
    formatBytes(bytes),
  );
  return `${receive} to receive, ${send} to send`;
}

export function statusText(status: GetStatusResponse, now: Date, look: Look = plain): string {
  const since = ago(status.started, now);
  const started = since === undefined ? "" : `, started ${since}`;
  return `vpnd ${status.version} is running (pid ${status.pid}${started})\n${networksText(status.networks, look)}${notes(howToAsk(status.networks))}${killSwitchLine(status.killSwitch, now)}`;
}
