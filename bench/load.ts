/** Who used the machine's processors in a while: the programs of a lab, strangers, the hypervisor. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { run } from "../test/lab/command.js";
import type { Host } from "../test/lab/lab.js";

/** Linux reports times in hundredths of a second (proc(5), USER_HZ). */
const ticksPerSecond = 100;

interface ProcessTimes {
  pid: number;
  parent: number;
  name: string;
  /** User and system, ticks. */
  own: number;
  /** Of children that ended and were waited for. */
  children: number;
}

function times(pid: number): ProcessTimes | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // It has just ended.
  }
  const close = stat.lastIndexOf(")");
  const field = stat.slice(close + 2).split(" ");
  const at = (index: number) => Number(field[index] ?? Number.NaN);
  const name = stat.slice(stat.indexOf("(") + 1, close);
  return { pid, parent: at(1), name, own: at(11) + at(12), children: at(13) + at(14) };
}

const generators: ReadonlySet<string> = new Set(["iperf3", "ping", "ip"]);

/** Processor seconds so far of everything that runs on the hosts, but the programs that make the load. */
export async function programSeconds(hosts: readonly Host[]): Promise<number> {
  let ticks = 0;
  for (const host of hosts)
    for (const line of (await run("ip", ["netns", "pids", host.netns])).stdout.split("\n")) {
      const found = line === "" ? undefined : times(Number(line));
      if (found !== undefined && !generators.has(found.name)) ticks += found.own;
    }
  return ticks / ticksPerSecond;
}

export interface MachineTimes {
  /** Seconds of all processors together. */
  busy: number;
  steal: number;
  total: number;
  /** Of programs that are neither ours nor threads of the kernel. */
  strangers: number;
}

export function machineTimes(): MachineTimes {
  const line = readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "";
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map((text) => Number(text) / ticksPerSecond);
  const busy = user + nice + system + irq + softirq;
  return { busy, steal, total: busy + idle + wait + steal, strangers: strangers() };
}

/**
 * What a process used goes to its parent when it ends, so the sum over all that live, with what they inherited, only grows.
 * Ours are this process and what descends from it; a daemon that left its parent is known by its network namespace.
 */
function strangers(): number {
  const all = new Map<number, ProcessTimes>();
  for (const entry of readdirSync("/proc")) {
    const found = /^\d+$/.test(entry) ? times(Number(entry)) : undefined;
    if (found !== undefined) all.set(found.pid, found);
  }
  const home = namespaceOf(process.pid);
  let ticks = 0;
  for (const one of all.values()) {
    if (excluded(one, all) || namespaceOf(one.pid) !== home) continue;
    ticks += one.own + one.children;
  }
  return ticks / ticksPerSecond;
}

const kernelThreads = 2;

function excluded(one: ProcessTimes, all: ReadonlyMap<number, ProcessTimes>): boolean {
  for (let at: ProcessTimes | undefined = one; at !== undefined; at = all.get(at.parent))
    if (at.pid === process.pid || at.pid === kernelThreads) return true;
  return false;
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

export interface Noise {
  /** Parts of all the machine's time, 0 to 1. */
  steal: number;
  others: number;
}

export function noiseBetween(before: MachineTimes, after: MachineTimes): Noise {
  const total = Math.max(after.total - before.total, 1e-9);
  return {
    steal: Math.max(0, after.steal - before.steal) / total,
    others: Math.max(0, after.strangers - before.strangers) / total,
  };
}
