/** Pages of docs/ that benchmarks write into: each replaces what stands between its own two markers; the rest is written by hand. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../test/lab/lab.js";

/** The page with the section's text replaced. Throws when the page has no such section. */
export function replaced(page: string, section: string, text: string): string {
  const [begin, end] = [`<!-- bench ${section} -->\n`, `<!-- end of ${section} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no section ${section}`);
  return `${page.slice(0, from + begin.length)}${text.trimEnd()}\n${page.slice(to)}`;
}

/** @param name of the file in docs, without `.md` */
export function rewrite(name: string, section: string, text: string): void {
  const file = join(repository, `docs/${name}.md`);
  writeFileSync(file, replaced(readFileSync(file, "utf8"), section, text));
}
