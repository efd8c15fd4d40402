/** The commands `kill-switch …`. */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { KillSwitchOffFlags } from "./commands/kill-switch-off.js";
import type { KillSwitchOnFlags } from "./commands/kill-switch-on.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, off } from "./parameters.js";

const nothing = { kind: "tuple", parameters: [] } as const;

const on: Command<CtlContext> = buildCommand<KillSwitchOnFlags, [], CtlContext>({
  loader: lazy(() => import("./commands/kill-switch-on.js")),
  parameters: {
    flags: {
      allowLan: off("Let hosts of the attached private subnets through, but for DNS"),
      allow: {
        kind: "parsed",
        placeholder: "HOST:PORT[,…]",
        brief: "Let these through besides, by TCP and UDP",
        parse: (input: string) => input,
        variadic: ",",
        optional: true,
      },
      dryRun: dryRunFlag,
    },
    positional: nothing,
  },
  docs: {
    brief: "Let nothing leave this machine but through tunnels, whether vpnd runs or not",
    customUsage: ["[--allow-lan] [--allow HOST:PORT[,…]]"],
  },
});

const offCommand: Command<CtlContext> = buildCommand<KillSwitchOffFlags, [], CtlContext>({
  loader: lazy(() => import("./commands/kill-switch-off.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: nothing },
  docs: { brief: "Lift the kill switch; if vpnd is dead: sudo vpnd --cleanup --kill-switch" },
});

const status: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/kill-switch-status.js")),
  parameters: { flags: {}, positional: nothing },
  docs: { brief: "Show what the kill switch lets through; exit 9 if somebody removed its rules" },
});

export const killSwitch: RouteMap<CtlContext> = buildRouteMap({
  routes: { on, off: offCommand, status },
  docs: { brief: "Keep traffic from leaving outside of tunnels" },
});
