/** Flags of a service's command line, as far as both services read them alike. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { logLevels } from "./config/values.js";
import { VpnError } from "./errors.js";

type Options = NonNullable<ParseArgsConfig["options"]>;

interface Strict<T extends Options> {
  args: string[];
  options: T;
  strict: true;
  allowPositionals: false;
  tokens: true;
}

/** @throws VpnError `usage` */
export type UsageError = (message: string, hint?: string) => VpnError;

/** @param program whose `--help` the hint names when there is no other */
export function usageErrors(program: string): UsageError {
  return (message, hint = `see ${program} --help`) => new VpnError("usage", message, { hint });
}

/**
 * @param argv without node and script
 * @param notYet flags that are known from the documentation; refused rather than ignored
 * @throws VpnError `usage`, also for a flag that is given twice and an unknown `--log-level`
 */
export function readFlags<T extends Options>(
  argv: readonly string[],
  options: T,
  notYet: readonly string[],
  usage: UsageError,
): ReturnType<typeof parseArgs<Strict<T>>>["values"] {
  const { values, tokens } = parse(argv, options, usage);
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    if (seen.has(token.name)) throw usage(`--${token.name} is given twice`);
    seen.add(token.name);
    if (token.name === "log-level") checkLogLevel(token.value, usage);
  }
  for (const flag of notYet) {
    if (seen.has(flag)) throw usage(`--${flag} is not supported by this version`);
  }
  return values;
}

function checkLogLevel(level: string | undefined, usage: UsageError): void {
  if (logLevels.some((known) => known === level)) return;
  throw usage(`${level} is no log level`, `use one of ${logLevels.join(", ")}`);
}

function parse<T extends Options>(argv: readonly string[], options: T, usage: UsageError) {
  try {
    return parseArgs<Strict<T>>({
      args: [...argv],
      options,
      strict: true,
      allowPositionals: false,
      tokens: true,
    });
  } catch (error) {
    // The parser's text goes on with advice on quoting; its first sentence says it all.
    const message = error instanceof Error ? error.message : String(error);
    throw usage((message.split(". ")[0] ?? message).toLowerCase());
  }
}
