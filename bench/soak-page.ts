/** What a soak shows, as text of docs/limits.md. */

export interface SoakRow {
  name: string;
  kind: "rssBytes" | "descriptors" | "threads";
  /** At the beginning, with everything connected. */
  first: number;
  /** Of the last two thirds, as the rest. */
  median: number;
  largest: number;
  /** What the trend rose by. */
  growth: number;
  allowed: number;
}

export interface SoakResult {
  minutes: number;
  mbit: number;
  commands: number;
  guestRounds: number;
  keyChanges: number;
  meanBps: number;
  worstBps: number;
  rows: readonly SoakRow[];
}

const labels = { rssBytes: "resident MiB", descriptors: "descriptors", threads: "threads" } as const;

/** @param head date and machine */
export function renderSoak(result: SoakResult, head: string): string {
  const { minutes, mbit, commands, guestRounds, keyChanges, rows } = result;
  const shown = (row: SoakRow, value: number) =>
    row.kind === "rssBytes" ? (value / 2 ** 20).toFixed(1) : value.toFixed(0);
  const grown = (row: SoakRow) =>
    `${row.growth >= 0 ? "+" : ""}${(row.kind === "rssBytes" ? row.growth / 2 ** 20 : row.growth).toFixed(1)}`;
  const lines = rows.map((row) =>
    [
      "",
      row.name,
      labels[row.kind],
      shown(row, row.first),
      shown(row, row.median),
      shown(row, row.largest),
      grown(row),
      row.growth <= row.allowed ? "yes" : "**no**",
      "",
    ]
      .join(" | ")
      .trim(),
  );
  const mega = (bits: number) => (bits / 1e6).toFixed(0);
  return `Measured by \`npm run bench -- soak --minutes ${minutes} --mbit ${mbit}\` (as root), which writes this table. ${head}

${minutes} minutes; three vpnd and a guest, each behind a NAT of its own, and iexd, sampled every 10 s (the guest's vpnd each
time it has left). One TCP stream bounded to ${mbit} Mbit/s ran
all the time (mean ${mega(result.meanBps)}, worst 10 s ${mega(result.worstBps)}); the guest joined, was pinged and left ${guestRounds} times; vpnctl was called ${commands} times;
the key was changed ${keyChanges === 1 ? "once" : `${keyChanges} times`}. "Trend" is what the median slope of the last two thirds adds up to over that time; flat means at most
+8 MiB (V8 collects its heap as a whole only after some MiB of garbage), and less than one descriptor or thread.

| program | what | start | median | largest | trend | flat |
|---|---|---:|---:|---:|---:|---|
${lines.join("\n")}
`;
}
