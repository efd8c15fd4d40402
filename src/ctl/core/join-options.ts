import { addressKind, canonicalAddress } from "../../common/endpoint.js";
import { VpnError } from "../../common/errors.js";

const defaultIexPort = 9944;
const longestDeviceName = 15;
const leastMtu = 576;
const mostMtu = 65_535;

function usage(message: string, hint: string): VpnError {
  return new VpnError("usage", message, { hint });
}

/** "HOST:PORT" of each server of a list; the port may be left out. */
export function parseServers(text: string): string[] {
  return text.split(",").map((part) => {
    const match = /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]/@]+)(?::(\d{1,5}))?$/.exec(part.trim());
    const host = match?.[1];
    const port = Number(match?.[2] ?? defaultIexPort);
    if (host === undefined || port < 1 || port > 65_535)
      throw usage(`"${part}" is no rendezvous server`, "write it as --iex HOST:PORT or --iex [IPV6]:PORT");
    return `${host}:${port}`;
  });
}

/** The node's own address, "10.0.0.10/16", in canonical form. */
export function parseVirtualIp(text: string): string {
  if (text === "auto")
    throw usage("--vip auto is not available yet", "choose an address: --vip 10.0.0.10/16");
  const match = /^([0-9A-Fa-f:.]+)\/(\d{1,3})$/.exec(text);
  const address = canonicalAddress(match?.[1] ?? "");
  const prefix = Number(match?.[2]);
  const longest = address?.includes(":") ? 128 : 32;
  if (address === undefined || prefix < 1 || prefix > longest || addressKind(address) !== "node")
    throw usage(
      `"${text}" is no address with prefix length`,
      "write address and network size: --vip 10.0.0.10/16",
    );
  return `${address}/${prefix}`;
}

/** Bytes; 0 for "auto". */
export function parseMtu(text: string): number {
  if (text === "auto") return 0;
  return integer("--mtu", text, leastMtu, mostMtu);
}

/** UDP port; 0 lets vpnd choose. */
export function parsePort(text: string): number {
  return integer("--listen-port", text, 0, 65_535);
}

export function parseDevice(text: string): string {
  if (text.length > longestDeviceName || !/^[^\s/:%]+$/.test(text) || text === "." || text === "..")
    throw usage(
      `"${text}" is no device name`,
      `at most ${longestDeviceName} characters, no spaces, slashes or colons`,
    );
  return text;
}

/** A whole number in bounds. */
export function integer(what: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most))
    throw usage(`${what}: "${text}" is out of range`, `a whole number from ${least} to ${most}`);
  return value;
}

/** Options of `join` whose carriers and functions this version does not have. */
export const laterOptions = {
  inviteFile: "invitations",
  prefix: "offered routes",
  relay: "relays",
} as const;

/** Refuses an option of `laterOptions`. */
export function refuseLater(what: string): never {
  throw usage(`this version has no ${what}`, "what it has: vpnctl join --help");
}
