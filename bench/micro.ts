/**
 * `npm run bench -- micro [--json]`: what parts of the engine cost by themselves. Writes its section of docs/performance.md; with --json only
 * prints what was measured. Needs native/build/driver-plain (make -C native driver), which it builds when it is missing.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { must } from "../test/lab/command.js";
import { driverProgram } from "./driver.js";
import { machineLine } from "./limits-page.js";
import { table, writeSection } from "./performance-page.js";

interface MicroCase {
  group: string;
  what: string;
  /** For one packet, record or look-up. */
  ns: number;
  /** Of all the process's threads. */
  cpuNs: number;
  /** In one; 0: it makes no sense. */
  bytes: number;
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { json: { type: "boolean", default: false } } });
  const output = await must(await driverProgram(), ["--micro"], { timeoutMs: 300_000 });
  const cases = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as MicroCase);
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ schema: "bench.micro/v1", ...machineLine(), cases })}\n`);
    return;
  }
  const text = render(cases);
  process.stdout.write(text);
  writeSection("micro", text);
  process.stderr.write("# written: docs/performance.md\n");
}

function render(cases: readonly MicroCase[]): string {
  const { date, machine, kernel } = machineLine();
  const lines = cases.map(({ group, what, ns, cpuNs, bytes }) => [
    group,
    what,
    ns.toFixed(1),
    cpuNs.toFixed(1),
    bytes === 0 ? "-" : ((bytes * 8) / cpuNs).toFixed(1),
  ]);
  return `Measured by \`npm run bench -- micro\`. ${date}, ${machine}, ${kernel}.
One thread, everything in its caches; for each packet, record or look-up, medians of five. Splitting and merging are counted for each packet
of ordinary size and include checksums. "engine to engine" are two whole engines over loopback with packets to members picked at
random, all of whom one session reaches: sender, receiver and the program that feeds them together.

${table(["", "", ">ns", ">CPU ns", ">Gbit/s of one core"], lines)}
`;
}
