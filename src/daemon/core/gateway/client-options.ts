/** A network by way of a gateway, as asked for at `join`; checked and canonical. */
import { VpnError } from "../../../common/errors.js";
import { parseCidr } from "../network/cidr.js";

export interface GatewayClientOptions {
  /** "ws://HOST[:PORT]/PATH" or "wss://…". */
  url: string;
  /** "http://HOST:PORT" of a proxy that takes CONNECT; absent: none. */
  proxy?: string;
  /** Prefixes that go by way of the gateway. */
  routes: readonly string[];
}

export const defaultGatewayMtu = 1500;

/** A remark for people on a connection without TLS. */
export const openGatewayWarning =
  "the way to the gateway is not encrypted: whoever is on it can read and change what passes, and take the token; use wss://";

const usage = (message: string, hint: string): VpnError => new VpnError("usage", message, { hint });

/** Checks what came over the API. @throws VpnError `usage` */
export function checkGatewayClient(raw: GatewayClientOptions): GatewayClientOptions {
  const url = checkUrl(raw.url, ["ws:", "wss:"], "--gateway wss://HOST/PATH");
  const { proxy } = raw;
  return {
    url: url.href,
    ...(proxy !== undefined && { proxy: proxyOf(proxy) }),
    routes: [...new Set(raw.routes.map(checkRoute))],
  };
}

/** Where to connect first: the gateway's "HOST:PORT", or its proxy's. */
export function firstHop({ url, proxy }: Pick<GatewayClientOptions, "url" | "proxy">): string {
  return hostPort(new URL(proxy ?? url));
}

/** "HOST:PORT" of a URL, the port too if it is the usual one. */
export function hostPort(url: URL): string {
  const usual = url.protocol === "wss:" || url.protocol === "https:" ? 443 : 80;
  return `${url.hostname}:${url.port === "" ? usual : url.port}`;
}

function proxyOf(text: string): string {
  const url = checkUrl(text, ["http:"], "--proxy http://HOST:PORT");
  return `http://${hostPort(url)}`;
}

function checkUrl(text: string, protocols: readonly string[], example: string): URL {
  const bad = (why: string): VpnError =>
    usage(`${JSON.stringify(shown(text))} ${why}`, `write it as ${example}`);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad("is no URL");
  }
  if (!protocols.includes(url.protocol))
    throw bad(`begins with none of ${protocols.map((one) => `${one}//`).join(", ")}`);
  if (url.hostname === "" || text.length > 500) throw bad("names no host");
  if (url.username !== "" || url.password !== "")
    throw bad("holds a password; the token goes into --token-file");
  if (url.hash !== "") throw bad("has a part behind #");
  return url;
}

/** What is before an @ may be a secret. */
const shown = (text: string): string => text.slice(0, 200).replace(/\/\/[^/]*@/, "//***@");

function checkRoute(text: string): string {
  const cidr = parseCidr(text);
  if (cidr === undefined)
    throw usage(`${JSON.stringify(text.slice(0, 64))} is no prefix`, "such as --route 192.0.2.0/24");
  if (cidr.length === 0) {
    throw usage(`--route ${text} would take the way to the gateway itself`, "name narrower prefixes");
  }
  return cidr.prefix;
}
