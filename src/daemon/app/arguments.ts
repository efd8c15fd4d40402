import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { VpnError } from "../../common/errors.js";

export interface Arguments {
  mode: "run" | "cleanup" | "help" | "version";
  stateDir: string;
  socket: string;
  /** Group of the socket. `groupGiven`: it must exist. */
  group: string;
  groupGiven: boolean;
  logLevel: LogLevel;
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];

export const help = `Usage: vpnd [FLAGS]

The daemon of a mesh VPN. It is driven by vpnctl over a Unix socket.

Flags:
  --state-dir DIR      networks, keys and the journal (default /var/lib/vpnd)
  --socket PATH        where vpnctl connects (default /run/vpnd/vpnd.sock)
  --socket-group NAME  group that may use the socket (default vpnd, if there is such a group)
  --log-level LEVEL    trace, debug, info, warn, error or fatal (default info)
  --cleanup            take back what a killed vpnd left on this machine, and exit
  --help, --version

Exit codes: 0 ok, 1 failure, 2 usage, 4 not permitted. Manual: vpnd(8).
`;

const options = {
  "state-dir": { type: "string" },
  socket: { type: "string" },
  "socket-group": { type: "string" },
  "log-level": { type: "string" },
  cleanup: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
  config: { type: "string" },
  "check-config": { type: "boolean" },
  metrics: { type: "string" },
  takeover: { type: "boolean" },
  "kill-switch": { type: "boolean" },
} as const;

/** Flags of the manual's later chapters; refused rather than ignored. */
const notYet = ["config", "check-config", "metrics", "takeover", "kill-switch"] as const;

const usage = (message: string, hint = "see vpnd --help"): VpnError =>
  new VpnError("usage", message, { hint });

/** @param argv without node and script @throws VpnError `usage` */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, tokens } = parse(argv);
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    if (seen.has(token.name)) throw usage(`--${token.name} is given twice`);
    seen.add(token.name);
  }
  for (const flag of notYet) {
    if (values[flag] !== undefined) throw usage(`--${flag} is not supported by this version`);
  }
  for (const flag of ["state-dir", "socket", "socket-group"] as const) {
    if (values[flag] === "") throw usage(`--${flag} is empty`);
  }
  const level = values["log-level"] ?? "info";
  const logLevel = logLevels.find((known) => known === level);
  if (!logLevel) throw usage(`${level} is no log level`, `use one of ${logLevels.join(", ")}`);
  const mode = values.help ? "help" : values.version ? "version" : values.cleanup ? "cleanup" : "run";
  return {
    mode,
    stateDir: resolve(values["state-dir"] ?? "/var/lib/vpnd"),
    socket: resolve(values.socket ?? "/run/vpnd/vpnd.sock"),
    group: values["socket-group"] ?? "vpnd",
    groupGiven: values["socket-group"] !== undefined,
    logLevel,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false, tokens: true });
  } catch (error) {
    // The parser's text goes on with advice on quoting; its first sentence says it all.
    const message = error instanceof Error ? error.message : String(error);
    throw usage((message.split(". ")[0] ?? message).toLowerCase());
  }
}
