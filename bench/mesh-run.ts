/** One contestant once: a fresh pair of hosts, the tunnel, the tests. */
import { setTimeout as delay } from "node:timers/promises";
import type { Contestant } from "./contestants/contestant.js";
import { roundTrips, smallPackets, type TcpResult, tcp } from "./iperf.js";
import { machineTimes, noiseBetween, programSeconds } from "./load.js";
import type { MeshRun, Values } from "./mesh-results.js";
import { answers, type LinkKind, makePair, type Pair } from "./pair.js";

export const tests = ["tcp", "tcpBack", "tcp4", "smallPackets", "ping"] as const;
export type Test = (typeof tests)[number];

export interface RunOptions {
  link: LinkKind;
  round: number;
  /** Of each test. */
  seconds: number;
  tests: readonly Test[];
  /** Part of the machine's time that hypervisor and strangers may have in a clean run. */
  noiseLimit: number;
}

/** Until what a VPN does at its start is over: MTU probes of tinc, keys, address changes. */
const settleMs = { tinc: 4000 } as Readonly<Record<string, number>>;
const defaultSettleMs = 1000;

/** Rejects when the tunnel does not come up; a test that fails leaves its values out. */
export async function runOnce(contestant: Contestant, options: RunOptions): Promise<MeshRun> {
  const link = contestant.link ?? options.link;
  const pair = await makePair(link);
  try {
    const { address, device } = await contestant.start(pair);
    await answers(pair, address);
    await delay(settleMs[contestant.name] ?? defaultSettleMs);
    const mtu = Number(/ mtu (\d+)/.exec(await pair.a.ip("link", "show", "dev", device))?.[1] ?? Number.NaN);
    const values: Values = {};
    const errors: string[] = [];
    const before = machineTimes();
    for (const test of options.tests) {
      try {
        Object.assign(values, await measure(test, pair, address, options.seconds));
      } catch (error) {
        errors.push(
          `${test}: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error)}`,
        );
      }
    }
    const noise = noiseBetween(before, machineTimes());
    const clean = noise.steal + noise.others <= options.noiseLimit;
    const { round } = options;
    return { link: options.link, contestant: contestant.name, round, mtu, values, noise, clean, errors };
  } catch (error) {
    pair.lab.markFailed(error);
    throw error;
  } finally {
    await pair.lab.close();
  }
}

async function measure(test: Test, pair: Pair, address: string, seconds: number): Promise<Values> {
  switch (test) {
    case "tcp": {
      const { result, programs, machine } = await withCpu(pair, () => tcp(pair, address, seconds));
      const gigabytes = result.bytes / 1e9;
      return {
        tcp: result.bps,
        retransmits: result.retransmits,
        programCpuPerGb: programs / gigabytes,
        machineCpuPerGb: machine / gigabytes,
      };
    }
    case "tcpBack":
      return { tcpBack: (await tcp(pair, address, seconds, { reverse: true })).bps };
    case "tcp4":
      return { tcp4: (await tcp(pair, address, seconds, { streams: 4 })).bps };
    case "smallPackets":
      return { smallPackets: (await smallPackets(pair, address, seconds)).receivedPps };
    case "ping":
      return { ping: (await roundTrips(pair, address, seconds)).average };
  }
}

async function withCpu(
  { a, b }: Pair,
  work: () => Promise<TcpResult>,
): Promise<{ result: TcpResult; programs: number; machine: number }> {
  const [machineBefore, before] = [machineTimes(), await programSeconds([a, b])];
  const result = await work();
  const [machineAfter, after] = [machineTimes(), await programSeconds([a, b])];
  return { result, programs: after - before, machine: machineAfter.busy - machineBefore.busy };
}
