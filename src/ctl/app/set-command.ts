/** `set`: changes what a network was joined with. */
import { buildCommand, type Command } from "@stricli/core";
import { parseDevice, parseMtu, parsePort, parseServers, parseVirtualIp } from "../core/join-options.js";
import { parseLog, parseMaxSize } from "../core/postgres-options.js";
import { refuseFixed } from "../core/set-options.js";
import { parseTcpConnect, parseTcpListen } from "../core/tcp-options.js";
import type { SetFlags } from "./commands/set.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, duration, networkArgument, text, value } from "./parameters.js";

/** Options of `join` that `set` does not take; their names are known so that the reason can be given. */
function fixed(option: string): ReturnType<typeof value<never>> & { hidden: true; inferEmpty: true } {
  const refuse = (): never => refuseFixed(option);
  return { ...value("VALUE", "Not changed by set", refuse), hidden: true, inferEmpty: true };
}

interface FixedFlags {
  readonly psk?: never;
  readonly pskFile?: never;
  readonly tlsPskFile?: never;
  readonly badger?: never;
  readonly tap?: never;
  readonly postgres?: never;
  readonly postgresPasswordFile?: never;
  readonly fast?: never;
  readonly gateway?: never;
  readonly fanqiang?: never;
  readonly padding?: never;
}

export const setCommand: Command<CtlContext> = buildCommand<SetFlags & FixedFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/set.js")),
  parameters: {
    flags: {
      iex: value("HOST:PORT[,…]", "Rendezvous servers instead of those there are", parseServers),
      vip: value("CIDR", "The node's own address in the network", parseVirtualIp),
      name: text("NAME", "The node's name; empty: the host name"),
      device: value("DEVICE", "Name of the device", parseDevice),
      mtu: value("N|auto", "MTU of the device in bytes", parseMtu),
      listenPort: value("PORT", "UDP port; 0 leaves it to vpnd", parsePort),
      tcpListen: {
        ...value("[ADDRESS:]PORT", "Where a link over TCP waits for its other end", parseTcpListen),
        inferEmpty: true,
      },
      tcpConnect: value("HOST:PORT", "Where the other end of a link over TCP listens", parseTcpConnect),
      retention: value("D", "How long a network over PostgreSQL keeps packets, such as 7d", (input: string) =>
        duration("--retention", input),
      ),
      maxSize: value("S", "How much room they may have, such as 10GiB", parseMaxSize),
      log: value("full|headers|sample=N", "Whose payloads are kept: all, none, every Nth", parseLog),
      tokenFile: text("FILE", "File with another token for the gateway; empty: none"),
      proxy: text("URL", "Reach the gateway by way of this proxy; empty: directly"),
      route: value("CIDR[,…]", "Prefixes that go by way of the gateway; empty: none", (input: string) =>
        input.split(",").filter((one) => one !== ""),
      ),
      dns: {
        kind: "boolean",
        brief: "Answer names, and tell this machine's resolver; --no-dns does neither",
        optional: true,
      },
      dryRun: dryRunFlag,
      psk: fixed("--psk"),
      pskFile: fixed("--psk-file"),
      tlsPskFile: fixed("--tls-psk-file"),
      badger: fixed("--badger"),
      tap: fixed("--tap"),
      postgres: fixed("--postgres"),
      postgresPasswordFile: fixed("--postgres-password-file"),
      fast: fixed("--fast"),
      gateway: fixed("--gateway"),
      fanqiang: fixed("--fanqiang"),
      padding: fixed("--padding"),
    },
    positional: { kind: "tuple", parameters: [networkArgument] },
  },
  docs: { brief: "Change what a network was joined with" },
});
