/** What several benchmarks need to write into docs/limits.md. */
import { cpus, release, totalmem } from "node:os";
import process from "node:process";
import { rewrite } from "./page.js";

/** Today and this machine, for a page to begin with. */
export function machineLine(): { date: string; machine: string; kernel: string; node: string } {
  const memory = Math.round(totalmem() / 2 ** 30);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "unknown"}, ${memory} GiB`,
    kernel: `Linux ${release()}`,
    node: `Node.js ${process.version}`,
  };
}

export type LimitsSection = "limits" | "soak" | "soak at full load" | "gateway" | "gateway reconnects";

export function writeLimits(section: LimitsSection, text: string): void {
  rewrite("limits", section, text);
}
