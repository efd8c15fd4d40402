/** The commands `gateway …`. */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import { parseQuota, parseRate } from "../core/gateway-options.js";
import { integer, parseMtu } from "../core/join-options.js";
import type { GatewayPingFlags } from "./commands/gateway-ping.js";
import type { GatewayStartFlags } from "./commands/gateway-start.js";
import type { UserAddFlags } from "./commands/gateway-user-add.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, duration, interval, off, text, value } from "./parameters.js";

interface DryRun {
  readonly dryRun?: boolean;
}

const nothing = { kind: "tuple", parameters: [] } as const;
const plainText = (input: string): string => input;
const one = (placeholder: string, brief: string) =>
  ({ kind: "tuple", parameters: [{ brief, placeholder, parse: plainText }] }) as const;
const several = (placeholder: string, brief: string) =>
  ({ kind: "parsed", placeholder, brief, parse: plainText, variadic: ",", optional: true }) as const;
const mostClients = 16_384;
const mostProbes = 1_000_000_000;
const mostWorkers = 64;

const start: Command<CtlContext> = buildCommand<GatewayStartFlags, [], CtlContext>({
  loader: lazy(() => import("./commands/gateway-start.js")),
  parameters: {
    flags: {
      listen: text("[ADDRESS:]PORT", "Where clients come; default 127.0.0.1:8080, for a web server in front"),
      path: text("PATH", "Path of the URL; default /"),
      open: off("Serve whoever comes, without a token"),
      subnet: several(
        "CIDR[,CIDR6]",
        "Addresses for clients, a /30 and a /127 each; default 10.91.0.0/16 and an IPv6 one",
      ),
      maxClients: value("N", "Serve no more at once; default 1000", (input: string) =>
        integer("--max-clients", input, 1, mostClients),
      ),
      keep: value("D", "Keep the addresses of a client that is away; default 5m", (input: string) =>
        duration("--keep", input),
      ),
      workers: value("N", "Threads for connections; default 1, the main one", (input: string) =>
        integer("--workers", input, 1, mostWorkers),
      ),
      mtu: value("N|auto", "MTU of clients' devices in bytes; default 1500", parseMtu),
      dns: several("ADDRESS[,…]", "Resolvers that clients are told of"),
      allow: several(
        "CIDR[,…]",
        "Private or special destinations that clients may reach besides the Internet",
      ),
      into: text("NETWORK", "Let clients reach this network of this machine, too"),
      noInternet: off("Let clients reach nothing but what other options name"),
      allowHost: off("Let clients reach this machine"),
      allowClients: off("Let clients reach each other"),
      isolation: {
        kind: "enum",
        values: ["tun", "shared"],
        brief: "tun: a device for each client, the default; shared: one for all",
        optional: true,
      },
      anySource: off("Let a client keep an address of its own, one of each family; vpnd translates it"),
      fanqiang: off("Also serve clients of fanqiang-poc, at any path; implies --open"),
      padding: off("Hide the sizes of packets: messages of few sizes to clients, and some that hold nothing"),
      dryRun: dryRunFlag,
    },
    positional: nothing,
  },
  docs: {
    brief: "Give WebSocket clients access to the Internet, now and after restarts",
    customUsage: ["[--listen [ADDRESS:]PORT] [--path PATH] [--open] [OPTION…]"],
  },
});

const stop: Command<CtlContext> = buildCommand<DryRun, [], CtlContext>({
  loader: lazy(() => import("./commands/gateway-stop.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: nothing },
  docs: { brief: "Disconnect all clients and serve no more; users stay" },
});

const clients: Command<CtlContext> = buildCommand<{ readonly watch?: boolean }, [], CtlContext>({
  loader: lazy(() => import("./commands/gateway-clients.js")),
  parameters: { flags: { watch: off("Follow changes until Ctrl-C") }, positional: nothing },
  docs: { brief: "Show the gateway and who is connected" },
});

const kick: Command<CtlContext> = buildCommand<object, [string], CtlContext>({
  loader: lazy(() => import("./commands/gateway-kick.js")),
  parameters: { flags: {}, positional: one("CLIENT", "Id or address of a client, or a user: all of theirs") },
  docs: { brief: "Disconnect a client; it may come back" },
});

const ping: Command<CtlContext> = buildCommand<GatewayPingFlags, [string, string], CtlContext>({
  loader: lazy(() => import("./commands/gateway-ping.js")),
  parameters: {
    flags: {
      tokenFile: text("FILE", "File that holds the gateway's token; - is standard input"),
      fanqiang: off("The gateway speaks the protocol of fanqiang-poc"),
      proxy: text("URL", "Reach the gateway by way of a proxy that takes CONNECT: http://HOST:PORT"),
      count: value("N", "Number of probes; 0 goes on until Ctrl-C; default 4", (input: string) =>
        integer("--count", input, 0, mostProbes),
      ),
      interval: value("S", "Time between probes, at least 100ms; default 1s", interval(0.1)),
    },
    aliases: { c: "count" },
    positional: {
      kind: "tuple",
      parameters: [
        { brief: "wss://HOST/PATH, or ws:// without encryption", placeholder: "URL", parse: plainText },
        { brief: "Address of a host behind the gateway", placeholder: "ADDRESS", parse: plainText },
      ],
    },
  },
  docs: { brief: "Ping a host by way of a gateway, without vpnd and without privileges" },
});

const userAdd: Command<CtlContext> = buildCommand<UserAddFlags, [string], CtlContext>({
  loader: lazy(() => import("./commands/gateway-user-add.js")),
  parameters: {
    flags: {
      expires: value(
        "D",
        "The token is good for so long, such as 30d; default: until it is revoked",
        (input: string) => duration("--expires", input),
      ),
      rate: value("R", "Bytes a second each way, such as 1M; default: as fast as it goes", parseRate),
      quota: value(
        "BYTES[/day|/month]",
        "Bytes both ways, once or in each period; default: as many as they like",
        parseQuota,
      ),
    },
    positional: one("NAME", "Name of the user"),
  },
  docs: { brief: "Let a user in; prints the token, which nobody can tell again" },
});

const userList: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/gateway-user-list.js")),
  parameters: { flags: {}, positional: nothing },
  docs: { brief: "List users, until when, and how many of their clients are here" },
});

const userRevoke: Command<CtlContext> = buildCommand<object, [string], CtlContext>({
  loader: lazy(() => import("./commands/gateway-user-revoke.js")),
  parameters: { flags: {}, positional: one("NAME", "Name of the user") },
  docs: { brief: "Take a user's token away and disconnect their clients" },
});

const user: RouteMap<CtlContext> = buildRouteMap({
  routes: { add: userAdd, list: userList, revoke: userRevoke },
  docs: { brief: "Say who may use the gateway" },
});

export const gateway: RouteMap<CtlContext> = buildRouteMap({
  routes: { start, stop, clients, kick, user, ping },
  docs: { brief: "Serve WebSocket clients, who reach the Internet through this machine" },
});
