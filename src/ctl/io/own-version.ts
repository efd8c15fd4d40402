import { readFileSync } from "node:fs";
import { packageFile } from "../../common/package-file.js";

/** Version in package.json. */
export function ownVersion(): string {
  const text = readFileSync(packageFile("package.json"), "utf8");
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed === "object" && parsed !== null && "version" in parsed) return String(parsed.version);
  return "unknown";
}
