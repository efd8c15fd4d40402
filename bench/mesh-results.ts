/** What `bench mesh` measured, put together: medians, ratios, and whether they are what they have to be. No input, no output. */
import type { Noise } from "./load.js";
import type { LinkKind } from "./pair.js";
import { median } from "./statistics.js";

/** In the order of the table. Bits a second, packets a second, seconds, seconds for 10^9 bytes, a number. */
export const metrics = [
  "tcp",
  "tcpBack",
  "tcp4",
  "smallPackets",
  "ping",
  "programCpuPerGb",
  "machineCpuPerGb",
  "retransmits",
] as const;
export type Metric = (typeof metrics)[number];
export type Values = Partial<Record<Metric, number>>;

/** One contestant, once. */
export interface MeshRun {
  link: LinkKind;
  contestant: string;
  round: number;
  mtu: number;
  values: Values;
  noise: Noise;
  /** False: others had more of the machine than the bench allows. */
  clean: boolean;
  /** What went wrong in tests whose values are missing. */
  errors: readonly string[];
}

export interface Spread {
  median: number;
  least: number;
  most: number;
}

export interface MeshRow {
  contestant: string;
  mtu: number;
  values: Partial<Record<Metric, Spread>>;
  /** Clean runs that the medians are of; all are taken when none is clean. */
  cleanRuns: number;
  runs: number;
}

/** One row for each contestant on the link, in the order of first appearance. Medians are of the clean runs, if there are any. */
export function rowsOf(runs: readonly MeshRun[], link: LinkKind): MeshRow[] {
  const groups = new Map<string, MeshRun[]>();
  for (const run of runs) {
    if (run.link !== link) continue;
    const group = groups.get(run.contestant) ?? [];
    group.push(run);
    groups.set(run.contestant, group);
  }
  return [...groups].map(([contestant, group]) => {
    const clean = group.filter((run) => run.clean);
    const counted = clean.length > 0 ? clean : group;
    const values: MeshRow["values"] = {};
    for (const metric of metrics) {
      const seen = counted.flatMap((run) => run.values[metric] ?? []).filter(Number.isFinite);
      if (seen.length === 0) continue;
      values[metric] = { median: median(seen), least: Math.min(...seen), most: Math.max(...seen) };
    }
    return { contestant, mtu: group[0]?.mtu ?? 0, values, cleanRuns: clean.length, runs: group.length };
  });
}

/** Median of one over median of the other; undefined when one was not measured or nothing can be divided by it. */
export function ratio(rows: readonly MeshRow[], metric: Metric, of: string, to: string): number | undefined {
  const value = (name: string) => rows.find((row) => row.contestant === name)?.values[metric]?.median;
  const [above, below] = [value(of), value(to)];
  return above === undefined || below === undefined || !(below > 0) ? undefined : above / below;
}

/** VPNs in user space that are not ours. */
export const peers = ["wireguard-go", "openvpn", "tinc", "nebula"] as const;

/** The other VPN that does best in a metric. */
export function bestPeer(
  rows: readonly MeshRow[],
  metric: Metric,
  best: "most" | "least",
): string | undefined {
  const found = rows.flatMap(({ contestant, values }) => {
    const value = values[metric]?.median;
    return value === undefined || !peers.some((peer) => peer === contestant) ? [] : [{ contestant, value }];
  });
  found.sort((x, y) => (best === "most" ? y.value - x.value : x.value - y.value));
  return found[0]?.contestant;
}

export interface Verdict {
  link: LinkKind;
  claim: string;
  compare: "at least" | "at most";
  limit: number;
  /** Absent: something that it takes was not measured. */
  value?: number;
  reached?: boolean;
}

interface Claim {
  link: LinkKind;
  claim: string;
  compare: Verdict["compare"];
  limit: number;
  value(rows: readonly MeshRow[]): number | undefined;
}

function against(link: LinkKind, other: string, limit: number): Claim[] {
  const directions = [
    ["tcp", "one TCP stream"],
    ["tcpBack", "one TCP stream, other direction"],
  ] as const;
  return directions.map(([metric, words]) => ({
    link,
    claim: `${words}, over ${other}'s`,
    compare: "at least",
    limit,
    value: (rows) => ratio(rows, metric, "vpnd", other),
  }));
}

function againstBest(rows: readonly MeshRow[], metric: Metric, best: "most" | "least"): number | undefined {
  const peer = bestPeer(rows, metric, best);
  return peer === undefined ? undefined : ratio(rows, metric, "vpnd", peer);
}

const claims: readonly Claim[] = [
  ...against("veth", "wireguard-go", 3),
  ...["openvpn", "tinc", "nebula"].flatMap((other) => against("veth", other, 8)),
  ...against("veth", "vxlan", 0.33),
  {
    link: "veth",
    claim: "four TCP streams, over one",
    compare: "at least",
    limit: 0.95,
    value(rows) {
      const own = rows.find((row) => row.contestant === "vpnd")?.values;
      return own?.tcp4 === undefined || own.tcp === undefined ? undefined : own.tcp4.median / own.tcp.median;
    },
  },
  {
    link: "veth",
    claim: "packets of 64 bytes, over the best peer's",
    compare: "at least",
    limit: 1.7,
    value: (rows) => againstBest(rows, "smallPackets", "most"),
  },
  {
    link: "veth",
    claim: "average ping, over the lowest peer's",
    compare: "at most",
    limit: 1.15,
    value: (rows) => againstBest(rows, "ping", "least"),
  },
  {
    link: "veth",
    claim: "processor seconds for 10^9 bytes, over wireguard-go's",
    compare: "at most",
    limit: 0.33,
    value: (rows) => ratio(rows, "programCpuPerGb", "vpnd", "wireguard-go"),
  },
  ...against("nooffload", "wireguard-go", 3),
  ...against("1g", "raw", 0.94),
];

/** Every claim about the links that were measured. */
export function verdicts(runs: readonly MeshRun[]): Verdict[] {
  const links = new Set(runs.map((run) => run.link));
  return claims
    .filter(({ link }) => links.has(link))
    .map(({ value: measure, ...claim }) => {
      const value = measure(rowsOf(runs, claim.link));
      if (value === undefined) return claim;
      const reached = claim.compare === "at least" ? value >= claim.limit : value <= claim.limit;
      return { ...claim, value, reached };
    });
}
