import { resolve } from "node:path";
import type { Entry } from "../../common/config/layer.js";
import { formatEndpoint, parseEndpoint } from "../../common/endpoint.js";
import { readFlags, usageErrors } from "../../common/flags.js";
import { parsePrefix } from "../core/address-filter.js";
import { mostNodes } from "../core/config.js";

export interface Arguments {
  mode: "run" | "check-config" | "help" | "version";
  /** Absolute. Undefined: the default one, which need not exist. */
  configFile: string | undefined;
  /** Flags that stand for config keys; they win over files. */
  overrides: Entry[];
}

export const defaultPort = 9944;

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
  "check-config": { type: "boolean" },
  "listen-wss": { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "allow-network": { type: "string" },
  relay: { type: "string" },
} as const;

/** Flags of protocols and stores to come; refused rather than ignored. */
const notYet = ["listen-wss", "tls-cert", "tls-key", "allow-network", "relay"] as const;

const usage = usageErrors("iexd");

/** @param argv without node and script @throws VpnError `usage` */
export function parseArguments(argv: readonly string[]): Arguments {
  const values = readFlags(argv, options, notYet, usage);
  checkStore(values.store ?? "memory");
  const { config, metrics, listen } = values;
  if (config === "") throw usage("--config is empty");
  const overrides: Entry[] = [];
  const override = (flag: string, path: readonly string[], value: unknown): void => {
    if (value !== undefined) overrides.push({ path, value, origin: { file: `--${flag}` } });
  };
  override("listen", ["listen"], listen === undefined ? undefined : readListen(listen));
  override("badger", ["badger"], values.badger);
  const allow = values["badger-allow"];
  override("badger-allow", ["badger_allow"], allow === undefined ? undefined : readAllowed(allow));
  const nodes = values["max-nodes"];
  override("max-nodes", ["max_nodes"], nodes === undefined ? undefined : readMaxNodes(nodes));
  override("log-level", ["log", "level"], values["log-level"]);
  override(
    "metrics",
    ["metrics", "listen"],
    metrics === undefined ? undefined : readEndpoint("--metrics", metrics),
  );
  const asked = values["check-config"] ? "check-config" : "run";
  return {
    mode: values.help ? "help" : values.version ? "version" : asked,
    configFile: config === undefined ? undefined : resolve(config),
    overrides,
  };
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

/** Canonical. */
function readEndpoint(flag: string, text: string): string {
  const endpoint = parseEndpoint(text);
  if (endpoint !== undefined) return formatEndpoint(endpoint.address, endpoint.port);
  throw usage(
    `${flag}: ${JSON.stringify(text)} is no ADDR:PORT`,
    `write an address and a port, such as ${flag} 0.0.0.0:${defaultPort} or ${flag} [::]:${defaultPort}`,
  );
}

function readListen(text: string): string[] {
  const list = text.split(",").map((part) => readEndpoint("--listen", part));
  const seen = new Set<string>();
  for (const endpoint of list) {
    if (!endpoint.endsWith(":0") && seen.has(endpoint)) throw usage(`--listen names ${endpoint} twice`);
    seen.add(endpoint);
  }
  return list;
}

function readAllowed(text: string): string[] {
  return text.split(",").map((part) => {
    if (parsePrefix(part) !== undefined) return part;
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
