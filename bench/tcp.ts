/**
 * `npm run bench -- tcp`: our links over TCP beside the classic tunnel program, in turn within each round. Under four minutes.
 *
 *   --runs N       rounds (3)
 *   --seconds S    of each test (3)
 *   --json         prints every run and leaves docs/performance.md alone; so do fewer than 3 rounds
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { kernel } from "./contestants/kernel.js";
import { links } from "./contestants/links.js";
import { machineLine } from "./limits-page.js";
import { type MeshRow, type MeshRun, ratio, rowsOf } from "./mesh-results.js";
import { runOnce } from "./mesh-run.js";
import { table, writeSection } from "./performance-page.js";

const roundsForPage = 3;
const noiseLimit = 0.12;
/** What is asked of our own ends: throughput over the classic program's, and seconds of an idle ping. */
const leastRatio = 10;
const longestPing = 0.0005;
const tests = ["tcp", "tcpBack", "ping"] as const;

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
    },
  });
  const [runs, seconds] = [Number(values.runs), Number(values.seconds)];
  if (!(runs > 0) || !(seconds > 0)) throw new Error("--runs and --seconds must be numbers above 0");
  const contestants = [...kernel.filter(({ name }) => name === "raw"), ...links];
  const done: MeshRun[] = [];
  for (let round = 1; round <= runs; round++) {
    for (const contestant of contestants) {
      process.stderr.write(`# round ${round}: ${contestant.name}\n`);
      done.push(await runOnce(contestant, { link: "veth", round, seconds, tests, noiseLimit }));
    }
  }
  const text = render(done, runs, seconds);
  process.stdout.write(
    values.json ? `${JSON.stringify({ schema: "bench.tcp/v1", ...machineLine(), runs: done })}\n` : text,
  );
  if (!values.json && runs >= roundsForPage) {
    writeSection("tcp", text);
    process.stderr.write("# written: docs/performance.md\n");
  }
  if (!reached(rowsOf(done, "veth"))) process.stderr.write("# not what is asked of our own ends\n");
}

function reached(rows: readonly MeshRow[]): boolean {
  const own = rows.filter(({ contestant }) => contestant.startsWith("vpnd"));
  return own.every(({ contestant, values }) => {
    const ratios = (["tcp", "tcpBack"] as const).map((metric) => ratio(rows, metric, contestant, "classic"));
    const fast = ratios.every((value) => value !== undefined && value >= leastRatio);
    return fast && values.ping !== undefined && values.ping.median < longestPing;
  });
}

function render(done: readonly MeshRun[], rounds: number, seconds: number): string {
  const { date, machine, kernel: system, node } = machineLine();
  const rows = rowsOf(done, "veth");
  const lines = rows.map(({ contestant, mtu, values, cleanRuns, runs }) => [
    contestant,
    String(mtu),
    ...(["tcp", "tcpBack"] as const).flatMap((metric) => [
      gigabits(values[metric]?.median),
      over(ratio(rows, metric, contestant, "classic")),
    ]),
    milliseconds(values.ping?.median),
    values.programCpuPerGb?.median.toFixed(2) ?? "-",
    `${cleanRuns}/${runs}`,
  ]);
  const columns = [
    "",
    ">MTU",
    ">TCP Gbit/s",
    ">over classic",
    ">back",
    ">over classic",
    ">ping ms",
    ">CPU s/GB",
    ">clean runs",
  ];
  const who = links.map(({ name, version }) => `${name}: ${version}.`).join(" ");
  const failed = done.flatMap(({ contestant, errors }) => errors.map((error) => `${contestant}: ${error}`));
  return `Measured by \`npm run bench -- tcp --runs ${rounds} --seconds ${seconds}\`. ${date}, ${machine}, ${system}, ${node}. Medians of clean
runs, as above. ${who}

${table(columns, lines)}

${reached(rows) ? "Our own ends do" : "Our own ends do not do"} ten times what the classic program does, in both directions, with an idle ping below 0.5 ms.
${failed.map((line) => `\n${line}`).join("")}`;
}

const gigabits = (bps: number | undefined): string => (bps === undefined ? "-" : (bps / 1e9).toFixed(2));
const over = (value: number | undefined): string => (value === undefined ? "-" : value.toFixed(1));
const milliseconds = (seconds: number | undefined): string =>
  seconds === undefined ? "-" : (seconds * 1000).toFixed(3);
