/** What several benchmarks need to write into docs/performance.md. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../test/lab/lab.js";
import { rewrite } from "./page.js";

export type Section = "mesh" | "paper" | "micro" | "tcp" | "gateway" | "gateway fanqiang" | "postgres";

export function writeSection(section: Section, text: string): void {
  rewrite("performance", section, text);
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
