import { VpnError } from "../../../common/errors.js";
import {
  checkGatewayClient,
  defaultGatewayMtu,
  type GatewayClientOptions,
} from "../gateway/client-options.js";
import { checkPostgresOptions, defaultPostgresMtu, type PostgresOptions } from "../postgres/options.js";
import type { Routing } from "../routes/routing.js";
import { checkTcpOptions, defaultTcpMtu, type TcpOptions } from "../tcp/options.js";
import { parseVirtualIp } from "./cidr.js";

/** What was asked for at `join`, checked and in canonical form; empty or 0 stays what it means: automatic. */
export interface JoinOptions {
  network: string;
  /** A mesh, unless one of these is there. */
  tcp?: TcpOptions;
  postgres?: PostgresOptions;
  gateway?: GatewayClientOptions;
  /** "HOST:PORT" each; of a mesh. */
  iex: readonly string[];
  /** Empty: the gateway gives it. */
  virtualIp: string;
  badger: boolean;
  listenPort: number;
  device: string;
  mtu: number;
  nodeName: string;
  /** Names are not answered, and the resolver is left alone. */
  noDns?: true;
}

/** What says over what a network goes. */
type Carriers = Pick<JoinOptions, "tcp" | "postgres" | "gateway">;

export type CarrierName = "mesh" | "tcp" | "postgres" | "gateway";

/** A joined network as it is kept on disk; secrets are apart. */
export interface NetworkConfig {
  name: string;
  carrier: CarrierName;
  asked: JoinOptions;
  /** In force: given, or chosen by vpnd. */
  device: string;
  mtu: number;
  nodeName: string;
  /** UDP port; 0 until the first start. */
  port: number;
  /** False after `down`. */
  up: boolean;
  /** Milliseconds since 1970, for display. */
  joined: number;
  /** It is joined because the config says so, and is left when the config no longer does. */
  declared?: true;
  /** What was decided about subnet routes; absent: nothing yet. */
  routing?: Routing;
}

const defaultMtu = 1400;
const defaultMtus = {
  mesh: defaultMtu,
  tcp: defaultTcpMtu,
  postgres: defaultPostgresMtu,
  gateway: defaultGatewayMtu,
};
/** A row's payload has up to 64 KiB, with the tag. */
const mostEncryptedMtu = 65_000;
/** IFNAMSIZ less the closing zero. */
const deviceNameMax = 15;

const usage = (message: string, hint: string): VpnError => new VpnError("usage", message, { hint });

/** @throws VpnError `usage` when the label is not `[a-z0-9][a-z0-9-]{0,31}` */
export function checkLabel(name: string): void {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) return;
  throw usage(
    `${JSON.stringify(name.slice(0, 64))} is no network label`,
    "use up to 32 lower-case letters, digits and hyphens, such as office",
  );
}

/** Checks what came over the API. @throws VpnError `usage` */
export function checkJoinOptions(raw: JoinOptions): JoinOptions {
  const network = raw.network === "" ? "default" : raw.network;
  checkLabel(network);
  const kind = carrierOf(raw);
  if (raw.virtualIp === "" && kind !== "gateway") {
    throw usage("no virtual IP", "give an address with prefix length, such as --vip 10.0.0.10/16");
  }
  if (raw.virtualIp !== "" && kind === "gateway") {
    throw usage("a gateway gives its clients their addresses", "leave --vip out");
  }
  const vip = kind === "gateway" ? undefined : parseVirtualIp(raw.virtualIp);
  if (kind === "mesh" && raw.iex.length === 0) {
    throw usage("no rendezvous server", "name one: --iex HOST:PORT");
  }
  if (raw.iex.length > 16) throw usage("too many rendezvous servers (at most 16)", "name fewer with --iex");
  checkMtu(raw.mtu, vip?.family ?? 6);
  if (raw.postgres?.encrypted === true && raw.mtu > mostEncryptedMtu) {
    throw usage(`MTU ${raw.mtu} leaves no room for encryption`, `use --mtu ${mostEncryptedMtu} at most`);
  }
  if (raw.listenPort > 65_535) throw usage(`${raw.listenPort} is no UDP port`, "use --listen-port 1..65535");
  if (raw.device !== "") checkDevice(raw.device);
  const iex = [...new Set(raw.iex.map(checkServer))];
  const carrier = {
    ...(raw.tcp !== undefined && { tcp: checkTcpOptions(raw.tcp) }),
    ...(raw.postgres !== undefined && { postgres: checkPostgresOptions(raw.postgres) }),
    ...(raw.gateway !== undefined && { gateway: checkGatewayClient(raw.gateway) }),
  };
  return {
    ...raw,
    ...carrier,
    network,
    iex,
    virtualIp: vip?.text ?? "",
    nodeName: checkNodeName(raw.nodeName),
  };
}

/** Fills in what was left to vpnd. */
export function makeConfig(asked: JoinOptions, hostName: string, now: number): NetworkConfig {
  return {
    name: asked.network,
    carrier: carrierOf(asked),
    asked,
    device: asked.device === "" ? `vpn-${asked.network}`.slice(0, deviceNameMax) : asked.device,
    mtu: asked.mtu === 0 ? defaultMtus[carrierOf(asked)] : asked.mtu,
    nodeName: asked.nodeName === "" ? nodeNameOf(hostName) : asked.nodeName,
    port: asked.listenPort,
    up: true,
    joined: now,
  };
}

/** Names of the options in which a second `join` differs; empty: it asks for what there is. */
export function differences(config: NetworkConfig, asked: JoinOptions): string[] {
  const had = config.asked;
  const differs: string[] = [];
  const compare = (option: string, same: boolean): void => {
    if (!same) differs.push(option);
  };
  compare("--tcp-listen", listensAt(had) === listensAt(asked));
  compare("--tcp-connect", connectsTo(had) === connectsTo(asked));
  compare("--tap", had.tcp?.tap === asked.tcp?.tap);
  compare("--tls-psk-file", had.tcp?.tls === asked.tcp?.tls);
  compare("--postgres", had.postgres?.url === asked.postgres?.url);
  compare("--fast", had.postgres?.fast === asked.postgres?.fast);
  compare("--retention", had.postgres?.retentionSeconds === asked.postgres?.retentionSeconds);
  compare("--log", had.postgres?.log === asked.postgres?.log);
  if (had.tcp === undefined) compare("--psk-file", had.postgres?.encrypted === asked.postgres?.encrypted);
  compare("--max-size", had.postgres?.maxBytes === asked.postgres?.maxBytes);
  compare("--gateway", had.gateway?.url === asked.gateway?.url);
  compare("--proxy", had.gateway?.proxy === asked.gateway?.proxy);
  compare("--route", had.gateway?.routes.join() === asked.gateway?.routes.join());
  compare("--fanqiang", had.gateway?.fanqiang === asked.gateway?.fanqiang);
  compare("--padding", had.gateway?.padding === asked.gateway?.padding);
  compare("--iex", [...had.iex].sort().join() === [...asked.iex].sort().join());
  compare("--vip", had.virtualIp === asked.virtualIp);
  compare("--badger", had.badger === asked.badger);
  compare("--listen-port", had.listenPort === asked.listenPort);
  // A default that is spelled out is the same thing.
  const filled = makeConfig(asked, config.nodeName, 0);
  compare("--device", config.device === filled.device);
  compare("--mtu", config.mtu === filled.mtu);
  compare("--no-dns", had.noDns === asked.noDns);
  compare("--name", had.nodeName === asked.nodeName || config.nodeName === asked.nodeName);
  return differs;
}

export function carrierOf({ tcp, postgres, gateway }: Carriers): CarrierName {
  if (tcp !== undefined) return "tcp";
  if (gateway !== undefined) return "gateway";
  return postgres === undefined ? "mesh" : "postgres";
}

/** The network has a PSK: a mesh always, a link or one over PostgreSQL when it is encrypted. */
export function hasPsk(asked: Carriers): boolean {
  if (asked.tcp !== undefined) return asked.tcp.tls;
  return asked.postgres === undefined ? carrierOf(asked) === "mesh" : asked.postgres.encrypted;
}

const listensAt = ({ tcp }: JoinOptions) => (tcp?.role === "listen" ? tcp.address : undefined);
const connectsTo = ({ tcp }: JoinOptions) => (tcp?.role === "connect" ? tcp.address : undefined);

function checkServer(text: string): string {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535 || text.length > 300) {
    throw usage(
      `${JSON.stringify(text.slice(0, 300))} is no rendezvous server`,
      "write HOST:PORT or [IPV6]:PORT, such as --iex iex.example.net:9944",
    );
  }
  return match[1] === undefined ? `${match[2]?.toLowerCase()}:${port}` : `[${match[1]}]:${port}`;
}

function checkMtu(mtu: number, family: 4 | 6): void {
  if (mtu === 0) return;
  const min = family === 6 ? 1280 : 576;
  if (mtu >= min && mtu <= 65_535) return;
  throw usage(
    `MTU ${mtu} is out of range`,
    `use --mtu ${min}..65535${family === 6 ? " (IPv6 needs 1280)" : ""}, or auto`,
  );
}

function checkDevice(device: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(device) && device.length <= deviceNameMax) return;
  throw usage(
    `${JSON.stringify(device.slice(0, 64))} is no device name`,
    `use up to ${deviceNameMax} letters, digits, dots, hyphens and underscores`,
  );
}

/** As node records have it: one DNS label. */
const nodeNameRule = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

function checkNodeName(name: string): string {
  const lower = name.toLowerCase();
  if (name === "" || nodeNameRule.test(lower)) return lower;
  throw usage(
    `${JSON.stringify(name.slice(0, 64))} is no node name`,
    "use up to 63 letters, digits and hyphens: --name alpha",
  );
}

/** A node name from a host name, whatever that looks like. */
function nodeNameOf(hostName: string): string {
  const label = (hostName.toLowerCase().split(".")[0] ?? "").replace(/[^a-z0-9-]/g, "-").slice(0, 63);
  const trimmed = label.replace(/^-+/, "").replace(/-+$/, "");
  return trimmed === "" ? "node" : trimmed;
}
