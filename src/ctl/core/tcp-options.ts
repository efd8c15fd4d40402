import { VpnError } from "../../common/errors.js";

const defaultPort = 55_555;

/** "[ADDRESS:]PORT" to listen on; both may be left out. vpnd checks the rest. */
export function parseTcpListen(text: string): string {
  if (text === "") return String(defaultPort);
  if (/^\d+$/.test(text)) return String(port("--tcp-listen", text));
  return withPort("--tcp-listen", text);
}

/** "HOST:PORT" to connect to; the port may be left out. */
export function parseTcpConnect(text: string): string {
  return withPort("--tcp-connect", text);
}

function withPort(option: string, text: string): string {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]/@]+)(?::(\d+))?$/.exec(text);
  const host = match?.[1];
  if (host === undefined) {
    const example = option === "--tcp-listen" ? "[ADDRESS:]PORT" : "HOST:PORT";
    throw new VpnError("usage", `${option}: "${text}" is no address`, {
      hint: `write it as ${option} ${example}, an IPv6 address in brackets`,
    });
  }
  return `${host}:${match?.[2] === undefined ? defaultPort : port(option, match[2])}`;
}

function port(option: string, text: string): number {
  const value = text.length <= 5 ? Number(text) : Number.NaN;
  if (value >= 1 && value <= 65_535) return value;
  throw new VpnError("usage", `${option}: "${text}" is no TCP port`, { hint: "a number from 1 to 65535" });
}
