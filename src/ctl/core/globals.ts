import { VpnError } from "../../common/errors.js";
import { parseDuration } from "../../common/format/duration.js";

/** Flags that every command takes, before or after its name. */
export interface Globals {
  readonly socket: string;
  readonly json: boolean;
  /** Empty: none was named. */
  readonly network: string;
  readonly timeoutSeconds: number;
  /** False: the timeout is the default. */
  readonly timeoutGiven: boolean;
  readonly debug: boolean;
}

export interface GlobalFlag {
  readonly name: string;
  readonly alias?: string;
  /** Absent: the flag takes no value. */
  readonly value?: string;
  readonly brief: string;
}

const defaultSocket = "/run/vpnd/vpnd.sock";
const defaultTimeoutSeconds = 15;

/** Also what help and the man page list. */
export const globalFlags: readonly GlobalFlag[] = [
  {
    name: "--socket",
    value: "PATH",
    brief: `Socket of vpnd; default ${defaultSocket}, or $VPND_SOCKET`,
  },
  { name: "--json", brief: "Print JSON, one document a line" },
  { name: "--network", alias: "-n", value: "NET", brief: "Network to act on" },
  {
    name: "--timeout",
    value: "D",
    brief: "How long to wait for an answer, such as 500ms or 1m; default 15s",
  },
  { name: "--debug", brief: "Print the causes of an error" },
];

/**
 * Takes the global flags out of the arguments; the rest is for the command. Stops at "--".
 * @throws VpnError `usage`
 */
export function parseGlobals(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): { globals: Globals; rest: string[] } {
  const found = new Map<string, string>();
  const rest: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (word === "--") {
      rest.push(...argv.slice(index));
      break;
    }
    const [name = "", inline] = splitFlag(word);
    const flag = globalFlags.find((one) => one.name === name || one.alias === name);
    if (flag === undefined) {
      rest.push(word);
      continue;
    }
    if (found.has(flag.name)) throw usage(`${flag.name} is given twice`, "give it once");
    if (flag.value === undefined) {
      if (inline !== undefined) throw usage(`${flag.name} takes no value`, `write only ${flag.name}`);
      found.set(flag.name, "");
      continue;
    }
    const value = inline ?? argv[++index];
    if (value === undefined || value === "")
      throw usage(`${flag.name} needs a value`, `write ${flag.name} ${flag.value}`);
    found.set(flag.name, value);
  }
  const timeout = found.get("--timeout");
  const socket = found.get("--socket") ?? env.VPND_SOCKET;
  return {
    globals: {
      socket: socket === undefined || socket === "" ? defaultSocket : socket,
      json: found.has("--json"),
      network: found.get("--network") ?? "",
      timeoutSeconds: timeout === undefined ? defaultTimeoutSeconds : timeoutOf(timeout),
      timeoutGiven: timeout !== undefined,
      debug: found.has("--debug"),
    },
    rest,
  };
}

function splitFlag(word: string): [string?, string?] {
  // "-nhome" and "-n=home" are "-n home".
  if (/^-n./.test(word)) return ["-n", word.slice(2).replace(/^=/, "")];
  if (!word.startsWith("--")) return [word];
  const equals = word.indexOf("=");
  return equals < 0 ? [word] : [word.slice(0, equals), word.slice(equals + 1)];
}

function timeoutOf(text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined || seconds <= 0)
    throw usage(`"${text}" is no duration`, "write it as --timeout 30s, 500ms or 1m30s");
  return seconds;
}

function usage(message: string, hint: string): VpnError {
  return new VpnError("usage", message, { hint });
}

/** The network that a command is for: its positional argument or `-n`, which must not disagree. */
export function networkOf(globals: Globals, positional: string | undefined): string {
  if (positional === undefined) return globals.network;
  if (globals.network !== "" && globals.network !== positional)
    throw usage(`two networks are named: ${positional} and ${globals.network}`, "name one");
  return positional;
}
