import type { NetworkStats, PeerStats, Rates } from "../../common/gen/vpnd/v1/stats_pb.js";
import { filled, type Json, rfc3339 } from "./present.js";

export function statsJson(stats: NetworkStats): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.stats/v1",
    network: stats.network,
    time: rfc3339(stats.time),
    ...counters(stats),
    drops: Object.fromEntries(Object.entries(stats.drops).map(([reason, count]) => [reason, Number(count)])),
    rates: ratesJson(stats.rates),
    peers: stats.peers.map((peer) => ({
      virtualIp: peer.virtualIp,
      name: filled(peer.name),
      path: peer.path,
      state: peer.state,
      ...counters(peer),
      rttSeconds: peer.rttSeconds,
      rates: ratesJson(peer.rates),
    })),
  };
}

function counters(from: NetworkStats | PeerStats): { [key: string]: Json } {
  return {
    rxBytes: Number(from.rxBytes),
    txBytes: Number(from.txBytes),
    rxPackets: Number(from.rxPackets),
    txPackets: Number(from.txPackets),
  };
}

function ratesJson(rates: Rates | undefined): Json {
  return rates === undefined
    ? undefined
    : {
        rxBytesPerSecond: rates.rxBytesPerSecond,
        txBytesPerSecond: rates.txBytesPerSecond,
        rxPacketsPerSecond: rates.rxPacketsPerSecond,
        txPacketsPerSecond: rates.txPacketsPerSecond,
      };
}
