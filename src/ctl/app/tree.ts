import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import { integer } from "../core/join-options.js";
import type { EventsFlags } from "./commands/events.js";
import type { Check } from "./commands/status.js";
import type { CtlContext } from "./context.js";
import { exitNode } from "./exit-node-commands.js";
import { allow, deny, rules } from "./filter-commands.js";
import { gateway } from "./gateway-commands.js";
import { joinCommand } from "./join-command.js";
import { killSwitch } from "./kill-switch-commands.js";
import { lazy } from "./lazy.js";
import { log } from "./log-commands.js";
import { dryRunFlag, interval, networkArgument, off, peerArgument, text, value } from "./parameters.js";
import { probe, psk } from "./psk-commands.js";
import { routes } from "./routes-commands.js";
import { setCommand } from "./set-command.js";

interface DryRun {
  readonly dryRun?: boolean;
}

const noParameters = { flags: {}, positional: { kind: "tuple", parameters: [] } } as const;
const maybeNetwork = { kind: "tuple", parameters: [networkArgument] } as const;
const onePeer = { kind: "tuple", parameters: [peerArgument] } as const;
const most = 1_000_000;

const leave: Command<CtlContext> = buildCommand<DryRun, [string?], CtlContext>({
  loader: lazy(() => import("./commands/leave.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: maybeNetwork },
  docs: { brief: "Leave a network: forget its device, addresses and key" },
});

const up: Command<CtlContext> = buildCommand<DryRun, [string?], CtlContext>({
  loader: lazy(() => import("./commands/up.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: maybeNetwork },
  docs: { brief: "Start a joined network that is down" },
});

const down: Command<CtlContext> = buildCommand<DryRun & { readonly all?: boolean }, [string?], CtlContext>({
  loader: lazy(() => import("./commands/down.js")),
  parameters: {
    flags: { all: off("Every network that is up"), dryRun: dryRunFlag },
    positional: maybeNetwork,
  },
  docs: { brief: "Stop a network and keep it joined" },
});

const networks: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/networks.js")),
  parameters: noParameters,
  docs: { brief: "List joined networks" },
});

const network: Command<CtlContext> = buildCommand<object, [string?], CtlContext>({
  loader: lazy(() => import("./commands/network.js")),
  parameters: { flags: {}, positional: maybeNetwork },
  docs: { brief: "Show one network: device, MTU, ciphers, servers" },
});

const status: Command<CtlContext> = buildCommand<{ readonly check?: Check }, [], CtlContext>({
  loader: lazy(() => import("./commands/status.js")),
  parameters: {
    flags: {
      check: {
        kind: "enum",
        values: ["live", "ready"],
        brief: "live: exit 0 if vpnd answers; ready: exit 9 unless every network is up",
        optional: true,
      },
    },
    positional: noParameters.positional,
  },
  docs: { brief: "Show whether vpnd runs, and its networks" },
});

const peers: Command<CtlContext> = buildCommand<{ readonly watch?: boolean }, [string?], CtlContext>({
  loader: lazy(() => import("./commands/peers.js")),
  parameters: { flags: { watch: off("Follow changes until Ctrl-C") }, positional: maybeNetwork },
  docs: { brief: "List peers: over which path, in which state, and why" },
});

const peerShow: Command<CtlContext> = buildCommand<object, [string], CtlContext>({
  loader: lazy(() => import("./commands/peer-show.js")),
  parameters: { flags: {}, positional: onePeer },
  docs: { brief: "Show one peer; the word show may be left out" },
});

const peerRemove: Command<CtlContext> = buildCommand<DryRun, [string], CtlContext>({
  loader: lazy(() => import("./commands/peer-remove.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: onePeer },
  docs: { brief: "Forget the node key of a peer that was reinstalled" },
});

const stats: Command<CtlContext> = buildCommand<
  { readonly watch?: boolean; readonly interval?: number },
  [string?],
  CtlContext
>({
  loader: lazy(() => import("./commands/stats.js")),
  parameters: {
    flags: {
      watch: off("Follow until Ctrl-C, with rates"),
      interval: value(
        "S",
        "Time between samples, at least 100ms; default 1s; implies --watch",
        interval(0.1),
      ),
    },
    positional: maybeNetwork,
  },
  docs: { brief: "Show counters, rates, and drops by reason" },
});

const ping: Command<CtlContext> = buildCommand<
  { readonly count?: number; readonly interval?: number },
  [string],
  CtlContext
>({
  loader: lazy(() => import("./commands/ping.js")),
  parameters: {
    flags: {
      count: value("N", "Number of probes; 0 goes on until Ctrl-C; default 4", (input: string) =>
        integer("--count", input, 0, most),
      ),
      interval: value("S", "Time between probes, at least 100ms; default 1s", interval(0.1)),
    },
    aliases: { c: "count" },
    positional: onePeer,
  },
  docs: { brief: "Measure the round trip to a peer inside the tunnel" },
});

const version: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/version.js")),
  parameters: noParameters,
  docs: { brief: "Show versions of vpnctl and vpnd" },
});

const ip: Command<CtlContext> = buildCommand<object, [string?], CtlContext>({
  loader: lazy(() => import("./commands/ip.js")),
  parameters: {
    flags: {},
    positional: {
      kind: "tuple",
      parameters: [{ ...peerArgument, brief: "Default: this node", optional: true }],
    },
  },
  docs: { brief: "Print virtual IPs, for scripts" },
});

const wait: Command<CtlContext> = buildCommand<{ readonly peers?: number }, [string?], CtlContext>({
  loader: lazy(() => import("./commands/wait.js")),
  parameters: {
    flags: {
      peers: value("N", "Also wait until so many peers are up", (input: string) =>
        integer("--peers", input, 0, most),
      ),
    },
    positional: maybeNetwork,
  },
  docs: { brief: "Wait until networks are up" },
});

const plan: Command<CtlContext> = buildCommand<object, [string?], CtlContext>({
  loader: lazy(() => import("./commands/plan.js")),
  parameters: { flags: {}, positional: maybeNetwork },
  docs: { brief: "Show the changes to this machine that networks make, in their order" },
});

const footprint: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/footprint.js")),
  parameters: noParameters,
  docs: { brief: "Show everything of vpnd that is on this machine now" },
});

const completion: Command<CtlContext> = buildCommand<object, [string], CtlContext>({
  loader: lazy(() => import("./commands/completion.js")),
  parameters: {
    flags: {},
    positional: {
      kind: "tuple",
      parameters: [{ brief: "bash, zsh or fish", placeholder: "SHELL", parse: (input: string) => input }],
    },
  },
  docs: { brief: "Print a completion script" },
});

const events: Command<CtlContext> = buildCommand<EventsFlags, [], CtlContext>({
  loader: lazy(() => import("./commands/events.js")),
  parameters: {
    flags: {
      watch: off("Follow what happens until Ctrl-C"),
      since: value("D", "From so long ago on, such as 1h or 7d; default: the newest 100", interval(0)),
    },
    positional: noParameters.positional,
  },
  docs: { brief: "Show what happened to networks and peers, and why" },
});

const metrics: Command<CtlContext> = buildCommand<{ readonly write?: string }, [], CtlContext>({
  loader: lazy(() => import("./commands/metrics.js")),
  parameters: {
    flags: { write: text("FILE", "Replace a file in one step instead, as collectors of text files want it") },
    positional: noParameters.positional,
  },
  docs: { brief: "Print vpnd's metrics in the Prometheus text format" },
});

const bugReport: Command<CtlContext> = buildCommand<{ readonly out?: string }, [], CtlContext>({
  loader: lazy(() => import("./commands/bug-report.js")),
  parameters: {
    flags: { out: text("FILE", "The archive; default vpnd-bug-report-TIME.tar.gz in this folder") },
    positional: noParameters.positional,
  },
  docs: { brief: "Write an archive for a bug report, without secrets; sends nothing" },
});

/** `peer PEER` shows, `peer remove PEER` removes; a peer called "remove" is `peer show remove`. */
const peer = buildRouteMap<"show" | "remove", CtlContext>({
  routes: { show: peerShow, remove: peerRemove },
  defaultCommand: "show",
  docs: { brief: "Show or forget one peer" },
});

/** All commands, in the order of help and man page. */
export const tree: RouteMap<CtlContext> = buildRouteMap({
  routes: {
    join: joinCommand,
    set: setCommand,
    leave,
    up,
    down,
    networks,
    network,
    status,
    peers,
    peer,
    stats,
    events,
    ping,
    ip,
    wait,
    allow,
    deny,
    rules,
    psk,
    probe,
    routes,
    exitNode,
    killSwitch,
    gateway,
    log,
    plan,
    footprint,
    metrics,
    bugReport,
    version,
    completion,
  },
  docs: {
    brief: "Control vpnd, the mesh VPN service",
    fullDescription:
      "Controls vpnd, the mesh VPN service of this machine, over its Unix socket.\n\n" +
      "Every command takes these flags too, before or after its name:\n" +
      "  --socket PATH, --json, -n|--network NET, --timeout D, --debug\n\n" +
      "Exit codes: 0 ok, 1 failure, 2 usage, 3 vpnd not running (status), 4 not permitted, 6 not configured,\n" +
      "7 vpnd not running, 8 no reply, 9 degraded (status --check), 130 Ctrl-C.",
  },
});
