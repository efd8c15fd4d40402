import { readFileSync } from "node:fs";
import { packageFile } from "../../common/package-file.js";

/** The version in package.json. */
export function version(): string {
  const file: unknown = JSON.parse(readFileSync(packageFile("package.json"), "utf8"));
  const found = typeof file === "object" && file !== null && "version" in file ? file.version : undefined;
  return typeof found === "string" ? found : "unknown";
}
