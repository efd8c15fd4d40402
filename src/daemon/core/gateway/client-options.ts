/** A network by way of a gateway, as asked for at `join`; checked and canonical. */
import { createHash } from "node:crypto";
import { VpnError } from "../../../common/errors.js";
import { checkGatewayUrl, checkProxyUrl, hostPort } from "../../../common/gateway/url.js";
import { parseCidr } from "../network/cidr.js";

export interface GatewayClientOptions {
  /** "ws://HOST[:PORT]/PATH" or "wss://…". */
  url: string;
  /** "http://HOST:PORT" of a proxy that takes CONNECT; absent: none. */
  proxy?: string;
  /** Prefixes that go by way of the gateway. */
  routes: readonly string[];
  /** The gateway speaks the protocol of fanqiang-poc. */
  fanqiang?: boolean;
  /** Sizes of messages to the gateway are hidden. */
  padding?: boolean;
}

export const defaultGatewayMtu = 1500;

/** A remark for people on a connection without TLS. */
export const openGatewayWarning =
  "the way to the gateway is not encrypted: whoever is on it can read and change what passes, and take the token; use wss://";

/** A remark for people whose network has no use yet. */
export const nothingGoesNote =
  "nothing goes by way of the gateway but what is sent to it; name prefixes with --route, or send everything: vpnctl exit-node use gateway";

const usage = (message: string, hint: string): VpnError => new VpnError("usage", message, { hint });

/** Checks what came over the API. @throws VpnError `usage` */
export function checkGatewayClient(raw: GatewayClientOptions): GatewayClientOptions {
  const url = checkGatewayUrl(raw.url);
  const { proxy } = raw;
  return {
    url: url.href,
    ...(proxy !== undefined && { proxy: checkProxyUrl(proxy) }),
    routes: [...new Set(raw.routes.map(checkRoute))],
    ...(raw.fanqiang === true && { fanqiang: true }),
    ...(raw.padding === true && { padding: true }),
  };
}

/** What stands for the gateway where peers are told apart by their node keys: it has none. */
export function gatewayKey({ url }: Pick<GatewayClientOptions, "url">): string {
  return createHash("sha256").update(`gateway ${url}`).digest("hex");
}

/** Where to connect first: the gateway's "HOST:PORT", or its proxy's. */
export function firstHop({ url, proxy }: Pick<GatewayClientOptions, "url" | "proxy">): string {
  return hostPort(new URL(proxy ?? url));
}

function checkRoute(text: string): string {
  const cidr = parseCidr(text);
  if (cidr === undefined)
    throw usage(`${JSON.stringify(text.slice(0, 64))} is no prefix`, "such as --route 192.0.2.0/24");
  if (cidr.length === 0) {
    throw usage(
      `--route ${text} would take the way to the gateway itself`,
      "name narrower prefixes; for everything: vpnctl exit-node use gateway, once it is joined",
    );
  }
  return cidr.prefix;
}
