/** The commands `exit-node …`. */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { ExitNodeOfferFlags } from "./commands/exit-node-offer.js";
import type { ExitNodeUseFlags } from "./commands/exit-node-use.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, off } from "./parameters.js";

interface DryRun {
  readonly dryRun?: boolean;
}

const nothing = { kind: "tuple", parameters: [] } as const;

const use: Command<CtlContext> = buildCommand<ExitNodeUseFlags, [string], CtlContext>({
  loader: lazy(() => import("./commands/exit-node-use.js")),
  parameters: {
    flags: {
      allowLan: off("Reach the attached private subnets directly, but for DNS"),
      killSwitch: off("Turn the kill switch on too, until exit-node off"),
      dryRun: dryRunFlag,
    },
    positional: {
      kind: "tuple",
      parameters: [
        {
          brief: "Peers in the order in which they are tried; auto: any that offers",
          placeholder: "PEER[,PEER…]|auto",
          parse: (input: string) => input,
        },
      ],
    },
  },
  docs: {
    brief: "Send all traffic of this machine through a peer, until exit-node off",
    customUsage: ["PEER[,PEER…]|auto [--allow-lan] [--kill-switch] [--dry-run]"],
  },
});

const offCommand: Command<CtlContext> = buildCommand<DryRun, [], CtlContext>({
  loader: lazy(() => import("./commands/exit-node-off.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: nothing },
  docs: { brief: "Send traffic by the machine's own routes again" },
});

const list: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/exit-node-list.js")),
  parameters: { flags: {}, positional: nothing },
  docs: { brief: "List peers that offer to be exit nodes, and the one in use" },
});

const offer: Command<CtlContext> = buildCommand<ExitNodeOfferFlags, [], CtlContext>({
  loader: lazy(() => import("./commands/exit-node-offer.js")),
  parameters: {
    flags: {
      to: {
        kind: "parsed",
        placeholder: "PEER[,PEER…]",
        brief: "Only for these; default: any peer",
        parse: (input: string) => input,
        variadic: ",",
        optional: true,
      },
      allowHost: off("Clients may connect to this machine itself too"),
      dryRun: dryRunFlag,
    },
    positional: nothing,
  },
  docs: {
    brief: "Carry peers' traffic to the Internet",
    customUsage: ["[--to PEER[,PEER…]] [--allow-host] [--dry-run]"],
  },
});

const withdraw: Command<CtlContext> = buildCommand<DryRun, [], CtlContext>({
  loader: lazy(() => import("./commands/exit-node-withdraw.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: nothing },
  docs: { brief: "Be no exit node any more" },
});

export const exitNode: RouteMap<CtlContext> = buildRouteMap({
  routes: { use, off: offCommand, list, offer, withdraw },
  docs: { brief: "Reach the Internet through a peer" },
});
