/** The commands around filter rules: `allow`, `deny` and `rules …`. */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import { integer } from "../core/join-options.js";
import type { AddRuleFlags } from "./commands/add-rule.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, off, value } from "./parameters.js";

const noParameters = { flags: {}, positional: { kind: "tuple", parameters: [] } } as const;
const most = 1_000_000;
const plain = (input: string): string => input;

const addParameters = {
  flags: {
    from: {
      kind: "parsed",
      placeholder: "PEER",
      brief: "Only packets of these peers; a list with commas, or several times; default: anybody",
      parse: plain,
      variadic: ",",
      optional: true,
    },
    position: value("N", "Where the rule is to stand, from 1; default: at the end", (input: string) =>
      integer("--position", input, 1, most),
    ),
    default: off("Instead of a rule: what happens to packets that no rule matches"),
    dryRun: dryRunFlag,
  },
  positional: {
    kind: "array",
    parameter: {
      brief: "tcp, udp or icmp, with ports as in tcp/22 or udp/8000-8100; default: everything",
      placeholder: "SERVICE",
      parse: plain,
    },
  },
} as const;

const usage = ["[SERVICE...] [--from PEER,...] [--position N]", "--default"];

export const allow: Command<CtlContext> = buildCommand<AddRuleFlags, string[], CtlContext>({
  loader: lazy(async () => ({ default: (await import("./commands/add-rule.js")).allow })),
  parameters: addParameters,
  docs: { brief: "Let packets of peers in: by protocol, port and peer", customUsage: usage },
});

export const deny: Command<CtlContext> = buildCommand<AddRuleFlags, string[], CtlContext>({
  loader: lazy(async () => ({ default: (await import("./commands/add-rule.js")).deny })),
  parameters: addParameters,
  docs: {
    brief: "Keep packets of peers out, but for answers to this host's own",
    customUsage: usage,
  },
});

const list: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/rules-list.js")),
  parameters: noParameters,
  docs: { brief: "Show the rules in their order: the first that matches decides" },
});

const remove: Command<CtlContext> = buildCommand<{ readonly dryRun?: boolean }, [number], CtlContext>({
  loader: lazy(() => import("./commands/rules-remove.js")),
  parameters: {
    flags: { dryRun: dryRunFlag },
    positional: {
      kind: "tuple",
      parameters: [
        {
          brief: "Number of the rule, as shown by rules",
          placeholder: "N",
          parse: (input: string) => integer("N", input, 1, most),
        },
      ],
    },
  },
  docs: { brief: "Remove one rule" },
});

const clear: Command<CtlContext> = buildCommand<{ readonly dryRun?: boolean }, [], CtlContext>({
  loader: lazy(() => import("./commands/rules-clear.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: noParameters.positional },
  docs: { brief: "Remove all rules, and let everything in again" },
});

/** `rules` lists. */
export const rules: RouteMap<CtlContext> = buildRouteMap<"list" | "remove" | "clear", CtlContext>({
  routes: { list, remove, clear },
  defaultCommand: "list",
  docs: { brief: "Show and remove filter rules; the word list may be left out" },
});
