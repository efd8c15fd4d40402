import type { GetStatusResponse, GetVersionResponse } from "../../common/gen/vpnd/v1/daemon_pb.js";
import type { GatewayLink } from "../../common/gen/vpnd/v1/gateway_client_pb.js";
import type { Dns, Network, NetworkDetails, Reason } from "../../common/gen/vpnd/v1/network_pb.js";
import type { PostgresLog } from "../../common/gen/vpnd/v1/postgres_pb.js";
import type { TcpLink } from "../../common/gen/vpnd/v1/tcp_pb.js";
import { killSwitchMembers } from "./kill-switch-documents.js";
import { filled, type Json, rfc3339 } from "./present.js";

export function reasonJson(reason: Reason | undefined): Json {
  return reason === undefined || reason.code === ""
    ? undefined
    : { code: reason.code, message: reason.message };
}

export function networkJson(network: Network): { [key: string]: Json } {
  return {
    network: network.name,
    carrier: network.carrier,
    state: network.state,
    reason: reasonJson(network.reason),
    virtualIp: filled(network.virtualIp),
    device: filled(network.device),
    mtu: network.mtu || undefined,
    mtuAuto: network.mtuAuto || undefined,
    name: filled(network.nodeName),
    peersUp: network.peersUp,
    peersKnown: network.peersKnown,
    pskFingerprint: filled(network.pskFingerprint),
    since: rfc3339(network.since),
    iex: network.iex,
    badger: network.badger,
    declaredIn: filled(network.declaredIn),
    tcp: network.tcp && tcpJson(network.tcp),
    postgres: network.postgres && postgresJson(network.postgres),
    dns: network.dns && dnsJson(network.dns),
    gateway: network.gateway && gatewayLinkJson(network.gateway),
  };
}

function tcpJson({ role, address, tap, encrypted }: TcpLink): Json {
  return { role, address, tap, encrypted };
}

function postgresJson({ url, fast, encrypted, retentionSeconds, maxBytes, log }: PostgresLog): Json {
  return {
    url,
    fast,
    encrypted,
    log: filled(log),
    retentionSeconds: retentionSeconds || undefined,
    maxBytes: Number(maxBytes) || undefined,
  };
}

function dnsJson(dns: Dns): Json {
  return {
    domain: dns.domain,
    name: filled(dns.ownName),
    server: dns.server,
    state: dns.state,
    reason: reasonJson(dns.reason),
    askedBy: dns.askedBy,
    everything: dns.everything,
  };
}

function gatewayLinkJson({ url, proxy, routes, addresses, fanqiang, padding }: GatewayLink): Json {
  return { url, proxy: filled(proxy), routes, addresses, fanqiang, padding };
}

export function detailsJson(details: NetworkDetails): { [key: string]: Json } {
  return {
    servers: details.servers.map((server) => ({
      address: server.address,
      state: server.state,
      lastHeardSeconds: server.lastHeardSeconds,
    })),
    listenPort: details.listenPort || undefined,
    threads: details.threads,
    ciphers: details.ciphers,
    crypto: filled(details.crypto),
    offloads: details.offloads,
    receiveBufferBytes: details.receiveBufferBytes || undefined,
    sendBufferBytes: details.sendBufferBytes || undefined,
    publicEndpoint: filled(details.publicEndpoint),
    nodeKey: filled(details.nodeKey),
    notes: details.notes,
    unknownDestinations: details.unknownDestinations.map((unknown) => ({
      address: unknown.address,
      packets: Number(unknown.packets),
    })),
  };
}

export function statusJson(status: GetStatusResponse): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.status/v1",
    version: status.version,
    pid: status.pid,
    started: rfc3339(status.started),
    stateDir: status.stateDir,
    networks: status.networks.map(networkJson),
    killSwitch: status.killSwitch && killSwitchMembers(status.killSwitch),
  };
}

export function versionJson(
  client: string,
  daemon: GetVersionResponse | undefined,
): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.version/v1",
    vpnctl: client,
    vpnd: daemon?.version,
    node: daemon?.nodeVersion,
    openssl: daemon?.opensslVersion,
  };
}
