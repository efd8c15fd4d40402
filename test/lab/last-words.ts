/** What programs of a lab said last. The logs are kept where a test failed; of a run elsewhere only what it printed is. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const [files, linesOfEach, longest] = [6, 2, 200];

/** Lines of the logs in a folder, those that were written to last. */
export function lastWords(folder: string): string[] {
  // Not what the lab itself says of failures.
  const names = readdirSync(folder).filter((name) => name !== "failures.log");
  return names
    .map((name) => ({ name, path: join(folder, name), written: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.written - a.written)
    .slice(0, files)
    .flatMap(({ name, path }) => {
      const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(-linesOfEach);
      return lines.filter((line) => line !== "").map((line) => `${name}: ${line.slice(0, longest)}`);
    });
}
