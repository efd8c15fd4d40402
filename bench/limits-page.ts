/** docs/limits.md: several benchmarks write into it, each its own part. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { repository } from "../test/lab/lab.js";

const file = join(repository, "docs/limits.md");
const soakHeading = "## Soak\n";

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

/** Everything but the soak, which is the last section and stays. */
export function writeLimits(page: string): void {
  const [, soak] = parts();
  writeFileSync(file, soak === "" ? page : `${page}\n${soak}`);
}

/** @param section from its heading on */
export function writeSoak(section: string): void {
  writeFileSync(file, `${parts()[0].trimEnd()}\n\n${section}`);
}

function parts(): [string, string] {
  const page = readFileSync(file, "utf8");
  const at = page.indexOf(`\n${soakHeading}`);
  return at < 0 ? [page, ""] : [page.slice(0, at), page.slice(at + 1)];
}
