/** How a gateway is run: what `gateway start` was told, checked and with its defaults. */
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { canonicalAddress, formatEndpoint, parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import { largestFanqiangPacket } from "../../../common/gateway/fanqiang.js";
import { AddressPlan, checkSubnets, defaultSubnets } from "./addresses.js";
import { canonicalPrefixes } from "./destinations.js";

export const gatewayOptionsSchema = z.strictObject({
  /** "ADDR:PORT" or "[ADDR]:PORT". */
  listen: z.string(),
  /** Of the URL, with its slash. */
  path: z.string(),
  /** Whoever comes is served, without a token. */
  open: z.boolean(),
  /** Clients' subnets, IPv4 first. */
  subnets: z.array(z.string()),
  /** Of clients' devices, bytes. */
  mtu: z.number(),
  maxClients: z.number(),
  /** How long addresses are kept for a client that is away. */
  keepSeconds: z.number(),
  /** Destinations that clients may reach though they are private or special. */
  allow: z.array(z.string()),
  /** Clients may reach this machine. */
  allowHost: z.boolean(),
  /** Clients may reach each other. */
  allowClients: z.boolean(),
  /** Resolvers that clients are told of. */
  dns: z.array(z.string()),
  /** Clients of fanqiang-poc are served, too, at whatever path. */
  fanqiang: z.boolean().default(false),
  /** Sizes of messages to clients are hidden. */
  padding: z.boolean().default(false),
  /** A network of this vpnd that clients get to; empty: none. */
  into: z.string().default(""),
  /** Clients get to the Internet. */
  internet: z.boolean().default(true),
  /** Threads for connections; 1: none but the main one. */
  workers: z.number().default(1),
  /** A client may send as any one address of a family; it is translated to the client's. */
  anySource: z.boolean().default(false),
  /** A device for each client, or one for all. */
  isolation: z.enum(["tun", "shared"]).default("tun"),
});

export type GatewayOptions = z.infer<typeof gatewayOptionsSchema>;

/** Empty, 0 and absent: the default. */
export interface AskedGateway {
  listen: string;
  path: string;
  open: boolean;
  subnets: readonly string[];
  mtu: number;
  maxClients: number;
  keepSeconds: number | undefined;
  allow: readonly string[];
  allowHost: boolean;
  allowClients: boolean;
  dns: readonly string[];
  fanqiang: boolean;
  padding: boolean;
  workers: number;
  into: string;
  noInternet: boolean;
  anySource: boolean;
  isolation: string;
}

/** Nothing is said of how the gateway is to be. */
export function asksNothing(asked: AskedGateway): boolean {
  const { listen, path, open, subnets, mtu, maxClients, keepSeconds, allow, allowHost, allowClients } = asked;
  const { dns, fanqiang, padding, workers, into, noInternet, anySource, isolation } = asked;
  const said = [listen, path, open, mtu, maxClients, allowHost, allowClients, fanqiang, padding];
  const more = [workers, into, noInternet, anySource, isolation];
  const lists = [subnets, allow, dns];
  return (
    keepSeconds === undefined && ![...said, ...more].some(Boolean) && lists.every((one) => one.length === 0)
  );
}

const defaults = { listen: "127.0.0.1:8080", mtu: 1500, maxClients: 1000, keepSeconds: 300 } as const;
const mostClients = 16_384;
const mostWorkers = 64;
const mostKept = 7 * 24 * 3600;

const usage = (message: string, hint: string): VpnError => new VpnError("usage", message, { hint });

/** @throws VpnError `usage` */
export function checkGatewayOptions(asked: AskedGateway): GatewayOptions {
  const subnets = checkSubnets(asked.subnets.length === 0 ? defaultSubnets : asked.subnets);
  const { capacity } = new AddressPlan(subnets);
  const maxClients = asked.maxClients === 0 ? Math.min(defaults.maxClients, capacity) : asked.maxClients;
  if (maxClients > mostClients) {
    throw usage(`${maxClients} are too many clients`, `at most --max-clients ${mostClients}`);
  }
  if (maxClients > capacity) {
    throw usage(
      `${subnets.join(" and ")} have room for ${capacity} clients, not ${maxClients}`,
      "give larger subnets with --subnet, or fewer --max-clients",
    );
  }
  const keepSeconds = asked.keepSeconds ?? defaults.keepSeconds;
  if (!(keepSeconds >= 0 && keepSeconds <= mostKept)) throw usage("--keep is out of range", "at most 7d");
  const mtu = asked.mtu === 0 ? defaults.mtu : asked.mtu;
  if (mtu < 1280 || mtu > 65_535) throw usage(`MTU ${mtu} is out of range`, "use --mtu 1280..65535");
  if (asked.fanqiang) checkFanqiang(mtu, subnets);
  const allow = canonicalPrefixes(asked.allow);
  if (allow === undefined || allow.length > 256) {
    throw usage("--allow takes addresses and prefixes", "such as --allow 192.168.1.0/24,10.0.0.53");
  }
  const workers = asked.workers === 0 ? 1 : asked.workers;
  if (workers > mostWorkers)
    throw usage(`${workers} are too many workers`, `at most --workers ${mostWorkers}`);
  const isolation = isolationOf(asked.isolation);
  return {
    listen: listenAddress(asked.listen === "" ? defaults.listen : asked.listen),
    path: urlPath(asked.path === "" ? "/" : asked.path),
    // Such clients have no token.
    open: asked.open || asked.fanqiang,
    subnets,
    mtu,
    maxClients,
    keepSeconds,
    allow,
    allowHost: asked.allowHost,
    allowClients: asked.allowClients,
    dns: asked.dns.map(resolver),
    fanqiang: asked.fanqiang,
    padding: asked.padding,
    workers,
    ...reach(asked),
    anySource: asked.anySource,
    isolation,
  };
}

/** Whether only programs of this machine reach the gateway. */
export function isLocal(listen: string): boolean {
  const address = parseEndpoint(listen)?.address;
  return address !== undefined && ipaddr.parse(address).range() === "loopback";
}

/**
 * Keeps a gateway from being open to the world by accident.
 * @throws VpnError `failed`
 */
export function refuseStrangers({ open, listen }: GatewayOptions, users: number): void {
  if (open || users > 0 || isLocal(listen)) return;
  throw new VpnError("failed", `without users, whoever finds ${listen} could use the gateway`, {
    hint: "add one first: vpnctl gateway user add NAME; or let everybody in: --open",
  });
}

function isolationOf(text: string): GatewayOptions["isolation"] {
  if (text === "" || text === "tun" || text === "shared") return text || "tun";
  throw usage(
    `${JSON.stringify(text.slice(0, 32))} is no way to keep clients apart`,
    "a device for each: --isolation tun; one for all: --isolation shared",
  );
}

function checkFanqiang(mtu: number, subnets: readonly string[]): void {
  if (mtu > largestFanqiangPacket)
    throw usage(`MTU ${mtu} is out of range for --fanqiang`, `at most --mtu ${largestFanqiangPacket}`);
  if (subnets.length < 2)
    throw usage("clients of fanqiang-poc need IPv6 addresses", "give --subnet an IPv6 prefix, too");
}

/** Where clients get to besides single destinations. */
function reach(asked: AskedGateway): Pick<GatewayOptions, "into" | "internet"> {
  const { into, noInternet, allow, allowHost, allowClients } = asked;
  if (!/^[\w.-]{0,64}$/.test(into))
    throw usage(`${JSON.stringify(into.slice(0, 100))} is no network`, "see: vpnctl networks");
  if (noInternet && into === "" && allow.length === 0 && !allowHost && !allowClients)
    throw usage(
      "without the Internet clients would reach nothing",
      "say what else: --into NETWORK or --allow CIDR",
    );
  return { into, internet: !noInternet };
}

function listenAddress(text: string): string {
  const all = /^\d{1,5}$/.exec(text) === null ? text : `0.0.0.0:${text}`;
  const endpoint = parseEndpoint(all);
  if (endpoint !== undefined && endpoint.port > 0) return formatEndpoint(endpoint.address, endpoint.port);
  throw usage(
    `${JSON.stringify(text.slice(0, 100))} is no address to listen on`,
    "write ADDRESS:PORT, such as --listen 127.0.0.1:8080 or --listen [::]:8080",
  );
}

function urlPath(text: string): string {
  if (/^\/[A-Za-z0-9._~/-]{0,200}$/.test(text)) return text;
  throw usage(`${JSON.stringify(text.slice(0, 100))} is no path`, "it begins with a slash: --path /tunnel");
}

function resolver(text: string): string {
  const address = canonicalAddress(text);
  if (address !== undefined) return address;
  throw usage(`${JSON.stringify(text.slice(0, 64))} is no address of a resolver`, "such as --dns 9.9.9.9");
}
