import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Path of a file of the package, such as "package.json". The package begins at the nearest package.json above this code: sources
 * and bundles, in which this code may be in any file, lie at different depths.
 */
export function packageFile(path: string): string {
  let folder = new URL(".", import.meta.url);
  while (!existsSync(new URL("package.json", folder)) && folder.pathname !== "/")
    folder = new URL("..", folder);
  return fileURLToPath(new URL(path, folder));
}
