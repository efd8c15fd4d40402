import { z } from "zod";
import { evaluate } from "../../common/config/evaluate.js";
import { about, keysOf } from "../../common/config/keys.js";
import type { Entry, Problem } from "../../common/config/layer.js";
import { endpointSchema, type LogLevel, logLevelSchema } from "../../common/config/values.js";
import { formatEndpoint, type HostPort, parseEndpoint } from "../../common/endpoint.js";
import { type Prefix, parsePrefix } from "./address-filter.js";

/** More than the shortest entries of one datagram. */
export const mostNodes = 1000;

/** A port of 0 is another one each time. */
const noneTwice = (list: readonly string[]): boolean => {
  const fixed = list.filter((text) => !text.endsWith(":0"));
  return new Set(fixed.map(canonical)).size === fixed.length;
};

function canonical(text: string): string {
  const endpoint = parseEndpoint(text);
  return endpoint === undefined ? text : formatEndpoint(endpoint.address, endpoint.port);
}

const prefixText = z.string().refine((text) => parsePrefix(text) !== undefined, { error: "is no CIDR" });

/** All keys of iexd.toml: the parser, the defaults, the example file and the reload table come from here. */
export const iexdSchema = z.strictObject({
  listen: z
    .array(endpointSchema)
    .min(1, { error: "names no address" })
    .refine(noneTwice, { error: "names an address twice" })
    .optional()
    .register(about, {
      text:
        'UDP addresses, "ADDR:PORT" each; port 0 is any free one. Without it: port 9944 on all addresses, ' +
        "IPv4 and IPv6 as far as the machine has them.",
      reload: "restart",
      example: '["0.0.0.0:9944", "[::]:9944"]',
    }),
  badger: z
    .literal(true, { error: "can only be true: it is the only protocol so far" })
    .default(true)
    .register(about, { text: "Speak the Badger protocol; the only one so far.", reload: "restart" }),
  badger_allow: z.array(prefixText).default([]).register(about, {
    text: 'Hear only nodes that send from these addresses, for example ["198.51.100.0/24"]; empty: all.',
    reload: "live",
  }),
  max_nodes: z.int().min(1).max(mostNodes).default(600).register(about, {
    text: "Refuse more nodes than this, 1 to 1000. A map is one datagram, which holds about 600 with IPv4 addresses.",
    reload: "restart",
  }),
  log: z
    .strictObject({
      level: logLevelSchema
        .default("info")
        .register(about, { text: "trace, debug, info, warn, error or fatal.", reload: "live" }),
    })
    .prefault({})
    .register(about, { text: "What is written to standard output, a JSON line for each event." }),
  metrics: z
    .strictObject({
      listen: endpointSchema.optional().register(about, {
        text: 'Address of http://ADDR:PORT/metrics, for example "127.0.0.1:9945". Without it: no metrics.',
        reload: "restart",
        example: '"127.0.0.1:9945"',
      }),
    })
    .prefault({})
    .register(about, { text: "Counters for Prometheus." }),
});

export const iexdKeys = keysOf(iexdSchema);

/** What iexd runs with: flags over config files over defaults. */
export interface Settings {
  /** Undefined: the default port on all addresses, as far as the machine has both families. */
  listen: HostPort[] | undefined;
  /** Empty: everybody. */
  allowed: Prefix[];
  maxNodes: number;
  metrics: HostPort | undefined;
  logLevel: LogLevel;
}

export interface EvaluatedSettings {
  settings: Settings | undefined;
  problems: Problem[];
  entries: ReadonlyMap<string, Entry>;
}

/** @param input of files, then of flags; the later wins */
export function evaluateSettings(input: readonly Entry[]): EvaluatedSettings {
  const { value, problems, entries } = evaluate(iexdSchema, input, "docs/config.md");
  if (!value) return { settings: undefined, problems, entries };
  const { listen, metrics } = value;
  const settings: Settings = {
    listen: listen?.flatMap((text) => parseEndpoint(text) ?? []),
    allowed: value.badger_allow.flatMap((text) => {
      const prefix = parsePrefix(text);
      return prefix === undefined ? [] : [prefix];
    }),
    maxNodes: value.max_nodes,
    metrics: metrics.listen === undefined ? undefined : parseEndpoint(metrics.listen),
    logLevel: value.log.level,
  };
  return { settings, problems, entries };
}
