import { buildCommand, type Command } from "@stricli/core";
import {
  integer,
  laterOptions,
  parseDevice,
  parseMtu,
  parsePort,
  parseServers,
  parseVirtualIp,
  refuseLater,
} from "../core/join-options.js";
import { parseLog, parseMaxSize } from "../core/postgres-options.js";
import { parseTcpConnect, parseTcpListen } from "../core/tcp-options.js";
import type { JoinFlags } from "./commands/join.js";
import type { CtlContext } from "./context.js";
import { lazy } from "./lazy.js";
import { dryRunFlag, duration, off, text, value } from "./parameters.js";

type LaterFlags = { readonly [K in keyof typeof laterOptions]?: never };

/** Known from the documentation, refused by this version with a reason rather than as unknown. */
function later(
  name: keyof typeof laterOptions,
): ReturnType<typeof value<never>> & { hidden: true; inferEmpty: true } {
  const refuse = (): never => refuseLater(laterOptions[name]);
  return {
    ...value("VALUE", `Not in this version: ${laterOptions[name]}`, refuse),
    hidden: true,
    inferEmpty: true,
  };
}

const mostPeers = 100_000;

export const joinCommand: Command<CtlContext> = buildCommand<JoinFlags & LaterFlags, [string?], CtlContext>({
  loader: lazy(() => import("./commands/join.js")),
  parameters: {
    flags: {
      iex: value("HOST:PORT[,…]", "Rendezvous servers", parseServers),
      vip: value("CIDR", "The node's own address in the network, such as 10.0.0.10/16", parseVirtualIp),
      pskFile: text("FILE", "File that holds the key; - is standard input"),
      psk: text("KEY", "The key itself; other users of the machine can see it, prefer --psk-file"),
      name: text("NAME", "The node's name; default is the host name"),
      badger: off("Speak the Badger protocol, whose keys may be weak"),
      device: value("DEVICE", "Name of the TUN device; default is vpn-NETWORK", parseDevice),
      mtu: value("N|auto", "MTU of the device in bytes; default auto", parseMtu),
      listenPort: value("PORT", "UDP port; default is a random one, which is kept", parsePort),
      noDns: off("Answer no names, and leave this machine's resolver alone"),
      noWait: off("Do not wait for a server; keep trying in the background"),
      expectPeers: value("N", "Also wait until so many peers are up", (input: string) =>
        integer("--expect-peers", input, 0, mostPeers),
      ),
      tcpListen: {
        ...value("[ADDRESS:]PORT", "Be a link over TCP that waits here for its other end", parseTcpListen),
        inferEmpty: true,
      },
      tcpConnect: value("HOST:PORT", "Be a link over TCP to the end that listens there", parseTcpConnect),
      tap: off("Carry Ethernet frames on a TAP device over the link"),
      tlsPskFile: text("FILE", "File that holds the key that encrypts the link; - is standard input"),
      postgres: text(
        "URL",
        "Go through this database, which keeps all packets: postgres://USER@HOST/DATABASE",
      ),
      postgresPasswordFile: text("FILE", "File that holds the role's password; - is standard input"),
      fast: off("Deliver packets before they are durable in the database"),
      retention: value("D", "Keep packets for so long, such as 7d; default: for ever", (input: string) =>
        duration("--retention", input),
      ),
      maxSize: value("S", "Keep so much at most, such as 10GiB; default: without bound", parseMaxSize),
      log: value(
        "full|headers|sample=N",
        "Keep payloads of all packets, of none, or of every Nth one",
        parseLog,
      ),
      gateway: text("URL", "Go by way of this gateway: wss://HOST/PATH, or ws:// without encryption"),
      tokenFile: text("FILE", "File that holds the gateway's token; - is standard input"),
      proxy: text("URL", "Reach the gateway by way of a proxy that takes CONNECT: http://HOST:PORT"),
      route: {
        kind: "parsed",
        placeholder: "CIDR[,…]",
        brief: "Send these prefixes by way of the gateway",
        parse: (input: string) => input,
        variadic: ",",
        optional: true,
      },
      fanqiang: off("The gateway speaks the protocol of fanqiang-poc"),
      padding: off("Hide the sizes of packets from who watches the way to the gateway"),
      dryRun: dryRunFlag,
      inviteFile: later("inviteFile"),
      prefix: later("prefix"),
      relay: later("relay"),
    },
    positional: {
      kind: "tuple",
      parameters: [
        {
          brief: "Local label of the network; default is default",
          placeholder: "NETWORK",
          parse: (input: string) => input,
          optional: true,
        },
      ],
    },
  },
  docs: {
    brief: "Join a mesh network, be one end of a link, go through a database, or by way of a gateway",
    customUsage: [
      "[NETWORK] --iex HOST:PORT[,…] --vip CIDR (--psk-file FILE|- | --psk KEY) [OPTION…]",
      "[NETWORK] (--tcp-listen [ADDRESS:]PORT | --tcp-connect HOST:PORT) --vip CIDR [--tap] [--tls-psk-file FILE|-] [OPTION…]",
      "[NETWORK] --postgres URL --vip CIDR [--postgres-password-file FILE|-] [--psk-file FILE|-] [--fast] [OPTION…]",
      "[NETWORK] --gateway URL [--token-file FILE|-] [--route CIDR[,…]] [--proxy URL] [OPTION…]",
    ],
  },
});
