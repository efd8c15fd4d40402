/** The commands `log …`. */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import { logViews } from "../../common/postgres/log/views.js";
import { integer } from "../core/join-options.js";
import { parseSpeed } from "../core/log-speed.js";
import { parseLogTime } from "../core/log-time.js";
import type { LogExportFlags } from "./commands/log-export.js";
import type { LogPruneFlags } from "./commands/log-prune.js";
import type { LogQueryFlags } from "./commands/log-query.js";
import type { LogReplayFlags } from "./commands/log-replay.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import type { LogFlags } from "./log.js";
import { dryRunFlag, networkArgument, off, text, value } from "./parameters.js";

const maybeNetwork = { kind: "tuple", parameters: [networkArgument] } as const;
const mostRows = 1_000_000_000;

const place = {
  postgres: text("URL", "Ask the database itself, by postgres://USER@HOST[:PORT]/DATABASE"),
  postgresPasswordFile: text("FILE", "The password for it; - is standard input"),
  pskFile: text("FILE", "The network's key, for payloads that are encrypted; with --postgres"),
} as const;
const filter = text("EXPRESSION", "Such as 'host 10.0.0.2 and tcp port 443'");
const time = (flag: string, brief: string) =>
  value("TIME", brief, (input: string) => parseLogTime(flag, input));
const since = time("--since", "From then on: 15m for fifteen minutes ago, or a date and time");
const until = time("--until", "Before then");
const limit = (brief: string) => value("N", brief, (input: string) => integer("--limit", input, 0, mostRows));

const tail: Command<CtlContext> = buildCommand<Omit<LogFlags, "since" | "until">, [string?], CtlContext>({
  loader: lazy(() => import("./commands/log-tail.js")),
  parameters: {
    flags: { filter, limit: limit("So many of the past first; default 10"), ...place },
    positional: maybeNetwork,
  },
  docs: { brief: "Show packets as they are written into the log, until Ctrl-C" },
});

const query: Command<CtlContext> = buildCommand<LogQueryFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/log-query.js")),
  parameters: {
    flags: {
      filter,
      since,
      until,
      limit: limit(
        "The newest so many; default 100 without --since and --until; of a view the first, default 50",
      ),
      view: {
        kind: "enum",
        values: logViews,
        brief: "Instead of packets: who sent most, who spoke with whom, TCP connections opened and closed",
        optional: true,
      },
      ...place,
    },
    positional: maybeNetwork,
  },
  docs: { brief: "Show packets of the log, the oldest first" },
});

const exportCommand: Command<CtlContext> = buildCommand<LogExportFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/log-export.js")),
  parameters: {
    flags: {
      pcap: text("FILE", "As a file for tcpdump and its like; - is standard output"),
      csv: off("As CSV on standard output"),
      jsonl: off("As JSON on standard output, a packet a line, with payloads"),
      anonymise: off("With other addresses and names, and without payloads"),
      filter,
      since,
      until,
      limit: limit("The newest so many rows; default all"),
      ...place,
    },
    positional: maybeNetwork,
  },
  docs: {
    brief: "Write packets of the log into a file or pipe, super-packets split",
    customUsage: ["--pcap FILE|- [NETWORK] [OPTION…]", "--csv|--jsonl [NETWORK] [OPTION…]"],
  },
});

const prune: Command<CtlContext> = buildCommand<LogPruneFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/log-prune.js")),
  parameters: {
    flags: {
      before: time("--before", "Parts of the log that were over by then: 30d ago, or a date and time"),
      dryRun: dryRunFlag,
      postgres: place.postgres,
      postgresPasswordFile: place.postgresPasswordFile,
    },
    positional: maybeNetwork,
  },
  docs: {
    brief: "Drop old parts of the log, for good; for its owner",
    customUsage: ["--before TIME [NETWORK] [OPTION…]"],
  },
});

const replay: Command<CtlContext> = buildCommand<LogReplayFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/log-replay.js")),
  parameters: {
    flags: {
      to: text("PEER", "Who gets them: name or virtual IP"),
      speed: value("N", "Twice as fast as it was: 2; 0: as fast as it goes; default 1", parseSpeed),
      filter,
      since,
      until,
      limit: limit("The newest so many rows; default all"),
      dryRun: { ...dryRunFlag, brief: "Say what would be sent, and send nothing" },
    },
    positional: maybeNetwork,
  },
  docs: {
    brief: "Send packets of the log once more: what this node sent to a peer",
    customUsage: ["--to PEER [NETWORK] [OPTION…]"],
  },
});

export const log: RouteMap<CtlContext> = buildRouteMap({
  routes: { tail, query, export: exportCommand, replay, prune },
  docs: { brief: "Read the packet log of a network over PostgreSQL" },
});
