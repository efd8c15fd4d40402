/** The commands around subnet routes: `routes …`. */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, text } from "./parameters.js";

interface DryRun {
  readonly dryRun?: boolean;
}

const cidr = { brief: "Subnet", placeholder: "CIDR", parse: (input: string) => input } as const;
const someCidrs = { kind: "array", parameter: cidr } as const;
const peerAndCidrs = {
  kind: "array",
  parameter: {
    brief: "A peer or all, then subnets; without any: all that it offers",
    placeholder: "PEER|all [CIDR]",
    parse: (input: string) => input,
  },
} as const;

const offer: Command<CtlContext> = buildCommand<DryRun & { readonly as?: string }, string[], CtlContext>({
  loader: lazy(() => import("./commands/routes-offer.js")),
  parameters: {
    flags: {
      as: text("CIDR", "Addresses of the same number by which peers know the subnet, mapped one to one"),
      dryRun: dryRunFlag,
    },
    positional: someCidrs,
  },
  docs: {
    brief: "Carry packets to subnets of this node for peers that accept",
    customUsage: ["CIDR... [--dry-run]", "CIDR --as CIDR"],
  },
});

const withdraw: Command<CtlContext> = buildCommand<DryRun, string[], CtlContext>({
  loader: lazy(() => import("./commands/routes-withdraw.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: someCidrs },
  docs: { brief: "Offer subnets no more; without any: none", customUsage: ["[CIDR...] [--dry-run]"] },
});

const accept: Command<CtlContext> = buildCommand<DryRun, string[], CtlContext>({
  loader: lazy(() => import("./commands/routes-accept.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: peerAndCidrs },
  docs: {
    brief: "Send packets for subnets to the peer that offers them",
    customUsage: ["PEER|all [CIDR...] [--dry-run]"],
  },
});

const reject: Command<CtlContext> = buildCommand<DryRun, string[], CtlContext>({
  loader: lazy(() => import("./commands/routes-reject.js")),
  parameters: { flags: { dryRun: dryRunFlag }, positional: peerAndCidrs },
  docs: {
    brief: "Take acceptance back",
    customUsage: ["PEER|all [CIDR...] [--dry-run]"],
  },
});

const list: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/routes-list.js")),
  parameters: { flags: {}, positional: { kind: "tuple", parameters: [] } },
  docs: { brief: "List subnets that this node and its peers offer, and what becomes of them" },
});

export const routes: RouteMap<CtlContext> = buildRouteMap({
  routes: { offer, withdraw, accept, reject, list },
  docs: { brief: "Reach subnets behind peers" },
});
