/**
 * `npm run bench -- limits [--json] [--seconds N]`: what vpnd and iexd cost when idle. Writes its section of
 * docs/limits.md; with --json only prints what was measured.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type IdleRow, measureIdle } from "./idle.js";
import { machineLine, writeLimits } from "./limits-page.js";

interface Limits {
  date: string;
  machine: string;
  kernel: string;
  node: string;
  idleSeconds: number;
  idle: IdleRow[];
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: "boolean", default: false }, seconds: { type: "string", default: "60" } },
  });
  const idleSeconds = Number(values.seconds);
  if (!(idleSeconds >= 5)) throw new Error("--seconds must be a number, at least 5");
  const say = (text: string) => process.stderr.write(`# ${text}\n`);
  say(`idle programs, ${idleSeconds} s`);
  const idle = await measureIdle(idleSeconds);
  const limits = { ...machineLine(), idleSeconds, idle };
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ schema: "bench.limits/v1", ...limits })}\n`);
    return;
  }
  const page = render(limits);
  writeLimits("limits", page);
  process.stdout.write(page);
  say("written: docs/limits.md");
}

function render(limits: Limits): string {
  const { idle } = limits;
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const rows = idle.map(
    (row) =>
      `| ${row.name} | ${mib(row.rssBytes)} | ${row.cpuSecondsPerMinute.toFixed(2)} | ${row.threads} |`,
  );
  return `Measured by \`npm run bench -- limits\` (as root), which writes this table. ${limits.date}, ${limits.machine},
${limits.kernel}, ${limits.node}. Other programs ran on the machine at the same time.

Over ${limits.idleSeconds} s, all programs in the same ${limits.idleSeconds} s. Peers are living tunnels; nodes of iexd send heartbeats every 5 s, each in its own time.

| program | resident MiB | CPU seconds a minute | threads |
|---|---:|---:|---:|
${rows.join("\n")}
`;
}
