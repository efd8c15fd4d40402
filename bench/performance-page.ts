/** docs/performance.md: each benchmark rewrites what stands between its own two markers; the rest is written by hand. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../test/lab/lab.js";

const file = join(repository, "docs/performance.md");

export type Section = "mesh" | "paper" | "micro" | "tcp";

/** The page with the section's text replaced. Throws when the page has no such section. */
export function replaced(page: string, section: Section, text: string): string {
  const [begin, end] = [`<!-- bench ${section} -->\n`, `<!-- end of ${section} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no section ${section}`);
  return `${page.slice(0, from + begin.length)}${text.trimEnd()}\n${page.slice(to)}`;
}

export function writeSection(section: Section, text: string): void {
  writeFileSync(file, replaced(readFileSync(file, "utf8"), section, text));
}

/** @param name of the file in docs/plots, without `.svg` */
export function writePlot(name: string, svg: string): void {
  const folder = join(repository, "docs/plots");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.svg`), svg);
}

/** A table of Markdown. @param columns those whose name begins with ">" are aligned right */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(columns.map((name) => name.replace(/^>/, ""))),
    `|${columns.map((name) => (name.startsWith(">") ? "---:" : "---")).join("|")}|`,
    ...rows.map(line),
  ].join("\n");
}
