/** What a running program costs: memory, and processor time over a while. */
import { readFileSync } from "node:fs";

export interface Cost {
  /** Resident memory, bytes. */
  rssBytes: number;
  /** Processor seconds of all threads, user and system, in a minute. */
  cpuSecondsPerMinute: number;
  threads: number;
}

/** Linux reports times to programs in hundredths of a second, whatever its own tick is (proc(5), USER_HZ). */
const ticksPerSecond = 100;

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The program's name, in parentheses, may hold anything; after it come the fields from the third on.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user, system] = [fields[11], fields[12]].map(Number);
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) / ticksPerSecond;
}

/** A number of /proc/PID/status (proc(5)); NaN if there is none. Throws when the process is gone. */
export function status(pid: number, key: string): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${key}:\\s*(\\d+)`, "m").exec(text)?.[1] ?? Number.NaN);
}

/** Measures several programs over the same time. @param wait resolves when the time is over */
export async function costs(pids: readonly number[], wait: () => Promise<void>): Promise<Cost[]> {
  const startedAt = performance.now();
  const before = pids.map(cpuSeconds);
  await wait();
  const minutes = (performance.now() - startedAt) / 60_000;
  return pids.map((pid, index) => ({
    rssBytes: status(pid, "VmRSS") * 1024,
    cpuSecondsPerMinute: (cpuSeconds(pid) - (before[index] ?? Number.NaN)) / minutes,
    threads: status(pid, "Threads"),
  }));
}
