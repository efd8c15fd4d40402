/** The commands around keys: `psk …` and `probe`. */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { ProbeFlags } from "./commands/probe.js";
import type { PskRotateFlags } from "./commands/psk-rotate.js";
import type { PskSetFlags } from "./commands/psk-set.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, duration, networkArgument, off, text, value } from "./parameters.js";

const noParameters = { flags: {}, positional: { kind: "tuple", parameters: [] } } as const;
const maybeNetwork = { kind: "tuple", parameters: [networkArgument] } as const;

const pskFile = text("FILE", "File that holds the key; - is standard input");
const grace = value(
  "D",
  "How long the former keys stay accepted; default 7d, 0 ends them now",
  (input: string) => duration("--grace", input),
);

const generate: Command<CtlContext> = buildCommand<{ readonly out?: string }, [], CtlContext>({
  loader: lazy(() => import("./commands/psk-generate.js")),
  parameters: {
    flags: { out: text("FILE", "Write the key to a new file with mode 0600 instead of printing it") },
    positional: noParameters.positional,
  },
  docs: { brief: "Make a new key; needs no vpnd" },
});

const status: Command<CtlContext> = buildCommand<object, [], CtlContext>({
  loader: lazy(() => import("./commands/psk-status.js")),
  parameters: noParameters,
  docs: { brief: "Show fingerprints of the keys in use, and which peers use which" },
});

const set: Command<CtlContext> = buildCommand<PskSetFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/psk-set.js")),
  parameters: { flags: { pskFile, grace, dryRun: dryRunFlag }, positional: maybeNetwork },
  docs: {
    brief: "Prefer another key, and accept the former ones for a while",
    customUsage: ["[NETWORK] --psk-file FILE|- [--grace D]"],
  },
});

const rotate: Command<CtlContext> = buildCommand<PskRotateFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/psk-rotate.js")),
  parameters: {
    flags: {
      pskFile: text("FILE", "File that holds the new key; - is standard input; default: make one"),
      out: text(
        "FILE",
        "Where to write a key that is made (mode 0600), - prints it; default NETWORK-FINGERPRINT.psk",
      ),
      grace,
      dryRun: dryRunFlag,
    },
    positional: maybeNetwork,
  },
  docs: {
    brief: "Make a new key and prefer it; other nodes have to be given it by psk set",
    customUsage: ["[NETWORK] [--psk-file FILE|- | --out FILE|-] [--grace D]"],
  },
});

export const psk: RouteMap<CtlContext> = buildRouteMap({
  routes: { generate, status, set, rotate },
  docs: { brief: "Make, compare and change keys" },
});

export const probe: Command<CtlContext> = buildCommand<ProbeFlags, [string], CtlContext>({
  loader: lazy(() => import("./commands/probe.js")),
  parameters: {
    flags: { pskFile, badger: off("The key is one of a --badger network: its bytes as typed") },
    positional: {
      kind: "tuple",
      parameters: [
        { brief: "Endpoint of the peer's vpnd", placeholder: "HOST:PORT", parse: (input: string) => input },
      ],
    },
  },
  docs: {
    brief: "Ask whether a peer is there and has this key; needs neither root nor vpnd",
    customUsage: ["HOST:PORT --psk-file FILE|- [--badger]"],
  },
});
