import { readFileSync } from "node:fs";

/** Version in package.json, which lies at the same depth above sources and built files. */
export function ownVersion(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed === "object" && parsed !== null && "version" in parsed) return String(parsed.version);
  return "unknown";
}
