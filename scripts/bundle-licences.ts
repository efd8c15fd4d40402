import { readdirSync, readFileSync } from "node:fs";

/** The licences of all packages that files of a bundle came from: most ask that their text goes along with the code. */
export function licenceTexts(files: Iterable<string>): string {
  const folders = new Set<string>();
  for (const file of files) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  return [...folders].sort().map(licenceText).join("\n");
}

/** A few packages have no such file; then it is what their package.json says. */
function licenceText(folder: string): string {
  const about: { name: string; version: string; license?: string; homepage?: string } = JSON.parse(
    readFileSync(`${folder}/package.json`, "utf8"),
  );
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)(\.|$)/i.test(name));
  const text = file === undefined ? (about.homepage ?? "") : readFileSync(`${folder}/${file}`, "utf8");
  return `---- ${about.name} ${about.version}: ${about.license ?? "see below"} ----\n\n${text.trim()}\n`;
}
