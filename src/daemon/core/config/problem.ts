import type { Origin, Problem } from "../../../common/config/layer.js";
import type { VpnError } from "../../../common/errors.js";

/** An error that speaks of flags: in a file they are keys. @param what the section is about */
export function inWordsOfFile(error: VpnError, what: string, origin: Origin): Problem {
  const hint = keys(error.hint ?? "see docs/config.md");
  return { origin, message: `${what}: ${keys(error.message)}`, hint };
}

const keys = (text: string): string =>
  text.replace(/--([a-z-]+)/g, (_, flag: string) => flag.replaceAll("-", "_"));
