/** Bars, as SVG that reads well on light and dark pages. */

export interface Bar {
  name: string;
  value: number;
  /** Smallest and largest of the runs: a thin line on the bar. */
  least: number;
  most: number;
  /** Drawn in the strong colour. */
  ours?: boolean;
}

const left = 130;
const width = 640;
const right = 90;
const rowHeight = 24;
const top = 34;

const style = [
  "text{font:12px sans-serif;fill:#222}.title{font-weight:bold}",
  ".bar{fill:#9aa7b4}.ours{fill:#2f6fde}.range{stroke:#222;stroke-width:1}",
  "@media(prefers-color-scheme:dark){text{fill:#ddd}.bar{fill:#5c6873}.ours{fill:#5b93f0}.range{stroke:#ddd}}",
].join("");

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/** @param shown writes a value for people, with its unit */
export function barChart(title: string, bars: readonly Bar[], shown: (value: number) => string): string {
  const largest = Math.max(...bars.map((bar) => bar.most), Number.MIN_VALUE);
  const scale = (value: number) => Number(((value / largest) * (width - left - right)).toFixed(1));
  const rows = bars.map((bar, index) => {
    const y = top + index * rowHeight;
    const middle = y + 8;
    const [least, most] = [left + scale(bar.least), left + scale(bar.most)];
    return [
      `<text x="${left - 8}" y="${y + 12}" text-anchor="end">${escaped(bar.name)}</text>`,
      `<rect class="${bar.ours === true ? "ours" : "bar"}" x="${left}" y="${y}" width="${scale(bar.value)}" height="16"/>`,
      `<path class="range" d="M${least} ${middle}H${most}M${least} ${middle - 3}v6M${most} ${middle - 3}v6"/>`,
      `<text x="${Math.max(most, left + scale(bar.value)) + 8}" y="${y + 12}">${escaped(shown(bar.value))}</text>`,
    ].join("\n");
  });
  const height = top + bars.length * rowHeight + 6;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(title)}</title>
<style>${style}</style>
<text class="title" x="8" y="18">${escaped(title)}</text>
${rows.join("\n")}
</svg>
`;
}
