/** What `bench mesh` found, for the terminal, for docs/performance.md and as plots. */
import {
  bestPeer,
  type MeshRow,
  type MeshRun,
  type Metric,
  peers,
  ratio,
  rowsOf,
  type Verdict,
} from "./mesh-results.js";
import type { LinkKind } from "./pair.js";
import { table, writePlot, writeSection } from "./performance-page.js";
import { barChart } from "./plot.js";

export interface MeshResult {
  schema: "bench.mesh/v1";
  date: string;
  machine: string;
  kernel: string;
  node: string;
  rounds: number;
  /** Of each test. */
  seconds: number;
  /** 0 to 1. */
  noiseLimit: number;
  versions: Record<string, string>;
  missing: string[];
  /** Contestants that did not come up, and why. */
  failed: Record<string, string>;
  runs: MeshRun[];
  verdicts: Verdict[];
}

const titles: Readonly<Record<LinkKind, string>> = {
  veth: "Link with offloads (veth)",
  nooffload: "Link without offloads: each packet crosses, and arrives, by itself",
  gro: "Each packet crosses by itself, the receiver puts them together",
  "1g": "Link of 1 Gbit/s",
};

const formats: Readonly<Record<Metric, { head: string; show: (value: number) => string }>> = {
  tcp: { head: "TCP Gbit/s", show: giga },
  tcpBack: { head: "back", show: giga },
  tcp4: { head: "4 streams", show: giga },
  smallPackets: { head: "64 B packets/s", show: (value) => value.toFixed(0) },
  ping: { head: "ping µs", show: (value) => (value * 1e6).toFixed(0) },
  programCpuPerGb: { head: "VPN CPU s/GB", show: (value) => value.toFixed(2) },
  machineCpuPerGb: { head: "all CPU s/GB", show: (value) => value.toFixed(2) },
  retransmits: { head: "retransmits", show: (value) => value.toFixed(0) },
};

function giga(bits: number): string {
  return (bits / 1e9).toFixed(2);
}

function linksOf(result: MeshResult): LinkKind[] {
  return [...new Set(result.runs.map((run) => run.link))];
}

function ratioText(value: number | undefined): string {
  return value === undefined ? "-" : value.toFixed(value < 0.1 ? 3 : 2);
}

function linkTable(rows: readonly MeshRow[]): string {
  const shown = (Object.keys(formats) as Metric[]).filter((metric) => rows.some((row) => row.values[metric]));
  const best = bestPeer(rows, "tcp", "most");
  const columns = [
    "",
    ">MTU",
    ...shown.map((metric) => `>${formats[metric].head}`),
    ">TCP / raw",
    ...(best === undefined ? [] : [`>TCP / ${best}`]),
    ">clean runs",
  ];
  const lines = rows.map((row) => [
    row.contestant,
    String(row.mtu),
    ...shown.map((metric) => {
      const value = row.values[metric]?.median;
      return value === undefined ? "-" : formats[metric].show(value);
    }),
    ratioText(ratio(rows, "tcp", row.contestant, "raw")),
    ...(best === undefined ? [] : [ratioText(ratio(rows, "tcp", row.contestant, best))]),
    `${row.cleanRuns}/${row.runs}`,
  ]);
  return table(columns, lines);
}

function verdictTable(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ link, claim, compare, limit, value, reached }) => [
    link,
    claim,
    `${compare} ${limit}`,
    ratioText(value),
    reached === undefined ? "not measured" : reached ? "reached" : `**missed** (${missedBy(value, limit)})`,
  ]);
  return table(["link", "vpnd's", "must be", ">is", ""], lines);
}

function missedBy(value: number | undefined, limit: number): string {
  return value === undefined ? "" : `${((value / limit - 1) * 100).toFixed(0)} %`;
}

function versionList({ versions, missing, failed }: MeshResult): string {
  const lines = Object.entries(versions).map(([name, version]) => `- ${name}: ${version}`);
  if (missing.length > 0) lines.push(`- not installed: ${missing.join(", ")}`);
  for (const [name, why] of Object.entries(failed)) lines.push(`- ${name} did not come up: ${why}`);
  return lines.join("\n");
}

function ownRatio(rows: readonly MeshRow[]): string {
  const value = ratio(rows, "tcp", "vpnd-openssl", "wireguard-go");
  return value === undefined
    ? ""
    : `With records by OpenSSL one TCP stream is ${ratioText(value)} of wireguard-go's.\n`;
}

/** For the terminal; the page has the same with plots. */
export function meshText(
  result: MeshResult,
  plots: ReadonlyMap<LinkKind, readonly string[]> = new Map(),
): string {
  const parts = linksOf(result).map((link) => {
    const rows = rowsOf(result.runs, link);
    const images = (plots.get(link) ?? []).map((name) => `![${name}](plots/${name}.svg)\n`);
    return [
      `### ${titles[link]}\n`,
      linkTable(rows),
      "",
      link === "veth" ? ownRatio(rows) : "",
      ...images,
    ].join("\n");
  });
  const command = `npm run bench -- mesh --runs ${result.rounds} --seconds ${result.seconds}`;
  return `Measured by \`${command}\` (as root). ${result.date}, ${result.machine}, ${result.kernel}, ${result.node}.
Medians of the clean runs; rounds: ${result.rounds}, in each of which all take turns. A run is clean when hypervisor and foreign programs
had at most ${(result.noiseLimit * 100).toFixed(0)} % of the machine.

${parts.join("\n")}
### Verdicts

${verdictTable(result.verdicts)}

### Who took part

${versionList(result)}
`;
}

/** Only VPNs that encrypt in user space: beside the bare link their bars could not be told apart. */
function drawn(rows: readonly MeshRow[], link: LinkKind): MeshRow[] {
  return rows.filter(
    ({ contestant }) =>
      contestant.startsWith("vpnd") ||
      peers.some((peer) => peer === contestant) ||
      (link === "1g" && contestant === "raw"),
  );
}

export function writeMeshPage(result: MeshResult): void {
  const plots = new Map<LinkKind, string[]>();
  for (const link of linksOf(result)) {
    const rows = drawn(rowsOf(result.runs, link), link);
    const names: string[] = [];
    for (const metric of ["tcp", "smallPackets", "ping"] as const) {
      const { head, show } = formats[metric];
      const bars = rows.flatMap(({ contestant, values }) => {
        const value = values[metric];
        if (value === undefined) return [];
        const { median, least, most } = value;
        return [{ name: contestant, value: median, least, most, ours: contestant.startsWith("vpnd") }];
      });
      if (bars.length === 0) continue;
      const name = `mesh-${link}-${metric === "smallPackets" ? "small-packets" : metric}`;
      const less = metric === "ping" ? "less is better" : "more is better";
      writePlot(name, barChart(`${head}, ${titles[link]} (${less})`, bars, show));
      names.push(name);
    }
    plots.set(link, names);
  }
  writeSection("mesh", meshText(result, plots));
}
