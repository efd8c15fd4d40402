import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Every secret in a state folder, in each form that it could turn up in. */
export function secretsOnDisk(stateDir: string): string[] {
  const folder = join(stateDir, "secrets");
  const found = readdirSync(folder).flatMap((file) =>
    valuesOf(JSON.parse(readFileSync(join(folder, file), "utf8"))),
  );
  if (found.length < 2) throw new Error("no secrets: the test would pass in vain");
  return found.flatMap(formsOf);
}

/** Texts that are long enough to be keys. */
function valuesOf(value: unknown): string[] {
  if (typeof value === "string") return value.length >= 40 ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(valuesOf) : [];
}

/** @param secret in base64 */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, "base64");
  const list = [...bytes].join(",");
  return [
    secret.replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    list,
    list.replaceAll(",", ", "),
    // As a Buffer is shown.
    bytes.toString("hex").replace(/(..)(?=.)/g, "$1 "),
  ];
}
