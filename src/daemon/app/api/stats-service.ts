import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { VpnError } from "../../../common/errors.js";
import type { NetworkStatsSchema, RatesSchema, StatsService } from "../../../common/gen/vpnd/v1/stats_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";

/** The counters that rates are made from. */
interface Counts {
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
}

/** Counts of networks ("NAME") and peers ("NAME VIRTUAL-IP") at a time, milliseconds of a monotonic clock. */
interface Sample {
  at: number;
  counts: Map<string, Counts>;
}

export function statsService(
  networks: Networks,
  stopping: AbortSignal,
): ServiceImpl<(typeof StatsService)["method"]> {
  return {
    async getStats({ network }) {
      return { networks: networks.listed(network).map((one) => statsMessage(one, newSample())) };
    },
    async *watchStats({ network, intervalSeconds }, { signal }) {
      if (intervalSeconds < 0 || !Number.isFinite(intervalSeconds)) {
        throw new VpnError("usage", "the interval is no number of seconds", { hint: "use --interval 1s" });
      }
      networks.listed(network);
      const interval = (intervalSeconds === 0 ? 1 : Math.max(0.1, intervalSeconds)) * 1000;
      let last: Sample | undefined;
      for await (const _ of every(interval, AbortSignal.any([signal, stopping]))) {
        const sample = newSample();
        const named = networks.all().filter((one) => network === "" || one.name === network);
        yield { networks: named.map((one) => statsMessage(one, sample, last)) };
        last = sample;
      }
    },
  };
}

const newSample = (): Sample => ({ at: performance.now(), counts: new Map() });

/** Now, and then at a steady pace until the signal aborts; what was missed is skipped. */
async function* every(intervalMs: number, signal: AbortSignal): AsyncGenerator<void> {
  let next = performance.now();
  while (!signal.aborted) {
    yield;
    next = Math.max(next + intervalMs, performance.now());
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, next - performance.now());
      signal.addEventListener("abort", end);
      if (signal.aborted) end();
    });
  }
}

/** Fills the sample on its way. */
function statsMessage(
  network: Network,
  sample: Sample,
  last?: Sample,
): MessageInitShape<typeof NetworkStatsSchema> {
  const view = network.carrier?.view();
  const counters = view?.counters ?? { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} };
  const rates = (key: string, counts: Counts) => {
    sample.counts.set(key, counts);
    const made = ratesMessage(counts, sample.at, last, key);
    return made ? { rates: made } : {};
  };
  return {
    network: network.name,
    time: timestampFromMs(Date.now()),
    ...big(counters),
    drops: Object.fromEntries(
      Object.entries(counters.drops)
        .filter(([, packets]) => packets > 0)
        .map(([reason, packets]) => [reason, BigInt(packets)]),
    ),
    ...rates(network.name, counters),
    peers: (view?.peers ?? []).map((peer) => ({
      virtualIp: peer.virtualIp,
      name: peer.name ?? "",
      path: peer.path,
      state: peer.state,
      ...big(peer),
      ...(peer.rttSeconds === undefined ? {} : { rttSeconds: peer.rttSeconds }),
      ...rates(`${network.name} ${peer.virtualIp}`, peer),
    })),
  };
}

const big = (counts: Counts) => ({
  rxBytes: BigInt(counts.rxBytes),
  txBytes: BigInt(counts.txBytes),
  rxPackets: BigInt(counts.rxPackets),
  txPackets: BigInt(counts.txPackets),
});

function ratesMessage(
  now: Counts,
  at: number,
  last: Sample | undefined,
  key: string,
): MessageInitShape<typeof RatesSchema> | undefined {
  const before = last?.counts.get(key);
  if (!last || !before || at <= last.at) return undefined;
  const seconds = (at - last.at) / 1000;
  // A network that was restarted counts from zero again.
  const rate = (to: number, from: number): number => Math.max(0, to - from) / seconds;
  return {
    rxBytesPerSecond: rate(now.rxBytes, before.rxBytes),
    txBytesPerSecond: rate(now.txBytes, before.txBytes),
    rxPacketsPerSecond: rate(now.rxPackets, before.rxPackets),
    txPacketsPerSecond: rate(now.txPackets, before.txPackets),
  };
}
