import { formatBytes, formatRate } from "../../common/format/bytes.js";
import { formatRtt } from "../../common/format/duration.js";
import type { NetworkStats, Rates } from "../../common/gen/vpnd/v1/stats_pb.js";
import { type Look, plain } from "./look.js";
import { rfc3339 } from "./present.js";
import { sparkline } from "./sparkline.js";
import { notes, printable, table } from "./table.js";

export interface RateHistory {
  /** Bytes per second, oldest first. */
  readonly rx: readonly number[];
  readonly tx: readonly number[];
}

/** The history with one more sample, bounded to what a line shows. */
export function remember(history: RateHistory | undefined, rates: Rates | undefined, most = 40): RateHistory {
  const before = history ?? { rx: [], tx: [] };
  if (rates === undefined) return before;
  return {
    rx: [...before.rx, rates.rxBytesPerSecond].slice(-most),
    tx: [...before.tx, rates.txBytesPerSecond].slice(-most),
  };
}

/** All counters; with a history also sparklines of it. */
export function statsText(
  networks: readonly NetworkStats[],
  look: Look = plain,
  histories?: ReadonlyMap<string, RateHistory>,
): string {
  if (networks.length === 0) return notes(["no networks; join one: vpnctl join --help"]);
  return networks.map((stats) => networkStats(stats, look, histories?.get(stats.network))).join("\n");
}

function networkStats(stats: NetworkStats, look: Look, history: RateHistory | undefined): string {
  const rates = stats.rates;
  const title = `network: ${printable(stats.network)}\n`;
  const total = [
    totalLine("rx", stats.rxBytes, stats.rxPackets, rates?.rxBytesPerSecond, history?.rx),
    totalLine("tx", stats.txBytes, stats.txPackets, rates?.txBytesPerSecond, history?.tx),
  ].join("");
  const peers = table(
    ["IP", "NAME", "PATH", "STATE", "RTT", "RX", "TX", "RX RATE", "TX RATE"],
    stats.peers.map((peer) => [
      peer.virtualIp,
      peer.name || "-",
      peer.path,
      peer.state,
      peer.rttSeconds === undefined ? "-" : formatRtt(peer.rttSeconds),
      formatBytes(Number(peer.rxBytes)),
      formatBytes(Number(peer.txBytes)),
      peer.rates === undefined ? "-" : formatRate(peer.rates.rxBytesPerSecond),
      peer.rates === undefined ? "-" : formatRate(peer.rates.txBytesPerSecond),
    ]),
    { look, droppable: ["RTT", "PATH", "RX", "TX"] },
  );
  const drops = Object.entries(stats.drops).sort(([a], [b]) => (a < b ? -1 : 1));
  const dropLine = drops.map(([reason, count]) => `${printable(reason)} ${count}`).join(", ");
  return (
    title + total + (stats.peers.length > 0 ? peers : "") + (drops.length > 0 ? `drops: ${dropLine}\n` : "")
  );
}

function totalLine(
  name: string,
  bytes: bigint,
  packets: bigint,
  rate: number | undefined,
  history: readonly number[] | undefined,
): string {
  const total = `${formatBytes(Number(bytes))}, ${packets} packets`;
  const now = rate === undefined ? "" : `, ${formatRate(rate)}`;
  const line = history === undefined || history.length === 0 ? "" : `  ${sparkline(history)}`;
  return `  ${name}: ${total}${now}${line}\n`;
}

/** One line a network and sample, for pipes and logs. */
export function statsLine(stats: NetworkStats): string {
  const drops = Object.values(stats.drops).reduce((sum, count) => sum + Number(count), 0);
  const rate = (value: number | undefined): string => (value === undefined ? "-" : formatRate(value));
  const cells = [
    rfc3339(stats.time) ?? "-",
    printable(stats.network),
    `rx ${formatBytes(Number(stats.rxBytes))} ${rate(stats.rates?.rxBytesPerSecond)}`,
    `tx ${formatBytes(Number(stats.txBytes))} ${rate(stats.rates?.txBytesPerSecond)}`,
    `drops ${drops}`,
  ];
  return `${cells.join("  ")}\n`;
}
