/** Writes the example config files and the tables of docs/config.md; a test holds them equal. Run: tsx scripts/generate-config.ts */
import { readFileSync, writeFileSync } from "node:fs";
import { vpndExample, vpndKeyTable } from "../src/daemon/core/config/example.js";
import { iexdExample, iexdKeyTable } from "../src/iex/core/config-example.js";

/** Path and text of everything that is made from the config schemas. */
export function configFiles(): [path: string, text: string][] {
  let page = readFileSync("docs/config.md", "utf8");
  page = withTable(page, "vpnd.toml", vpndKeyTable());
  page = withTable(page, "iexd.toml", iexdKeyTable());
  return [
    ["packaging/vpnd.toml.example", vpndExample()],
    ["packaging/iexd.toml.example", iexdExample()],
    ["docs/config.md", page],
  ];
}

function withTable(page: string, name: string, table: string): string {
  const [begin, end] = [`<!-- keys of ${name} -->\n`, "<!-- end -->"];
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`docs/config.md has no place for the keys of ${name}`);
  return `${page.slice(0, from)}${begin}\n${table}\n\n${page.slice(to)}`;
}

if (process.argv[1]?.endsWith("generate-config.ts")) {
  for (const [path, text] of configFiles()) writeFileSync(path, text);
}
