import { readFileSync } from "node:fs";

/** The version in package.json, which lies at the same distance from sources and from what is built of them. */
export function version(): string {
  const file: unknown = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  const found = typeof file === "object" && file !== null && "version" in file ? file.version : undefined;
  return typeof found === "string" ? found : "unknown";
}
