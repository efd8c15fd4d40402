import { parseArgs } from "node:util";
import { formatEndpoint, type HostPort, parseEndpoint } from "../../common/endpoint.js";
import { VpnError } from "../../common/errors.js";
import { type Prefix, parsePrefix } from "../core/address-filter.js";

export interface Arguments {
  mode: "run" | "help" | "version";
  /** Undefined: the default port on all addresses, as far as the machine has both families. */
  listen: HostPort[] | undefined;
  /** Empty: everybody. */
  allowed: Prefix[];
  maxNodes: number;
  metrics: HostPort | undefined;
  logLevel: LogLevel;
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];

export const defaultPort = 9944;
const defaultMaxNodes = 600;
/** More than the shortest entries of one datagram. */
const mostNodes = 1000;

const options = {
  listen: { type: "string" },
  badger: { type: "boolean" },
  "badger-allow": { type: "string" },
  "max-nodes": { type: "string" },
  store: { type: "string" },
  "state-dir": { type: "string" },
  metrics: { type: "string" },
  "log-level": { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
  config: { type: "string" },
  "listen-wss": { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "allow-network": { type: "string" },
  relay: { type: "string" },
} as const;

/** Flags of protocols and stores to come; refused rather than ignored. */
const notYet = ["config", "listen-wss", "tls-cert", "tls-key", "allow-network", "relay"] as const;

const usage = (message: string, hint = "see iexd --help"): VpnError =>
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
  checkStore(values.store ?? "memory");
  const level = values["log-level"] ?? "info";
  const logLevel = logLevels.find((known) => known === level);
  if (logLevel === undefined) throw usage(`${level} is no log level`, `use one of ${logLevels.join(", ")}`);
  const { metrics, listen } = values;
  return {
    mode: values.help ? "help" : values.version ? "version" : "run",
    listen: listen === undefined ? undefined : readListen(listen),
    allowed: values["badger-allow"] === undefined ? [] : readAllowed(values["badger-allow"]),
    maxNodes: readMaxNodes(values["max-nodes"] ?? String(defaultMaxNodes)),
    metrics: metrics === undefined ? undefined : readEndpoint("--metrics", metrics),
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

function checkStore(store: string): void {
  if (store === "memory") return;
  if (store.startsWith("etcd://")) {
    throw usage(
      "--store etcd is not supported by this version",
      "leave it out: registrations are kept in memory",
    );
  }
  throw usage(`--store ${store} is unknown`, "use: --store memory");
}

function readEndpoint(flag: string, text: string): HostPort {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw usage(
    `${flag}: ${JSON.stringify(text)} is no ADDR:PORT`,
    `write an address and a port, such as ${flag} 0.0.0.0:${defaultPort} or ${flag} [::]:${defaultPort}`,
  );
}

function readListen(text: string): HostPort[] {
  const list = text.split(",").map((part) => readEndpoint("--listen", part));
  const seen = new Set<string>();
  for (const { address, port } of list) {
    const endpoint = formatEndpoint(address, port);
    if (port !== 0 && seen.has(endpoint)) throw usage(`--listen names ${endpoint} twice`);
    seen.add(endpoint);
  }
  return list;
}

function readAllowed(text: string): Prefix[] {
  return text.split(",").map((part) => {
    const prefix = parsePrefix(part);
    if (prefix !== undefined) return prefix;
    throw usage(
      `--badger-allow: ${JSON.stringify(part)} is no CIDR`,
      "write prefixes such as --badger-allow 198.51.100.0/24,2001:db8::/32",
    );
  });
}

function readMaxNodes(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= mostNodes) return count;
  throw usage(
    `--max-nodes: ${JSON.stringify(text)} is no number from 1 to ${mostNodes}`,
    "a map is one datagram, which holds about 600 nodes with IPv4 addresses",
  );
}
