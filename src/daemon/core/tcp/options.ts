import ipaddr from "ipaddr.js";
import { VpnError } from "../../../common/errors.js";

/** A TCP link to one other end, as asked for at `join`; checked and canonical. */
export interface TcpOptions {
  role: "listen" | "connect";
  /** "HOST:PORT" to connect to; "ADDR:PORT", or "PORT" for all addresses, to listen on. */
  address: string;
  /** Ethernet frames instead of IP packets. */
  tap: boolean;
  /** Encrypted, by the network's PSK. */
  tls: boolean;
}

/** What TCP carries has no size; this is what simpletun's devices have, and its buffer has room for. */
export const defaultTcpMtu = 1500;

/** A remark for people on a link without TLS. */
export const openLinkWarning =
  "the link is not encrypted: whoever is on the way can read and change what passes; give --tls-psk-file at both ends";

/** Checks what came over the API. @throws VpnError `usage` */
export function checkTcpOptions(raw: TcpOptions): TcpOptions {
  return {
    ...raw,
    address: raw.role === "listen" ? listenAddress(raw.address) : connectAddress(raw.address),
  };
}

/** Where to listen: port, and address unless it is all of them. @param address as `checkTcpOptions` gave it */
export function splitListen(address: string): { address?: string; port: number } {
  const at = address.lastIndexOf(":");
  if (at < 0) return { port: Number(address) };
  return { address: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) };
}

/** A line of text for people, such as "listening on port 55555". */
export function tcpLinkText({ role, address }: TcpOptions): string {
  if (role === "connect") return `connecting to ${address}`;
  return /^\d+$/.test(address) ? `listening on port ${address}` : `listening on ${address}`;
}

const listenAddress = (text: string): string => {
  const bad = (): VpnError =>
    new VpnError("usage", `${JSON.stringify(text.slice(0, 300))} is no address to listen on`, {
      hint: "write [ADDRESS:]PORT, such as --tcp-listen 55555 or --tcp-listen [2001:db8::1]:55555",
    });
  if (/^\d{1,5}$/.test(text)) return String(checkPort(Number(text), bad));
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const six = match?.[1] !== undefined;
  if (six ? !ipaddr.IPv6.isValid(host) : !ipaddr.IPv4.isValidFourPartDecimal(host)) throw bad();
  const port = checkPort(Number(match?.[3]), bad);
  return six ? `[${ipaddr.IPv6.parse(host).toRFC5952String()}]:${port}` : `${host}:${port}`;
};

const connectAddress = (text: string): string => {
  const bad = (): VpnError =>
    new VpnError("usage", `${JSON.stringify(text.slice(0, 300))} is no address to connect to`, {
      hint: "write HOST:PORT or [IPV6]:PORT, such as --tcp-connect vpn.example.net:55555",
    });
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  if (!match || text.length > 300) throw bad();
  if (match[1] !== undefined && !ipaddr.IPv6.isValid(match[1])) throw bad();
  const port = checkPort(Number(match[3]), bad);
  return match[1] === undefined
    ? `${match[2]?.toLowerCase()}:${port}`
    : `[${match[1].toLowerCase()}]:${port}`;
};

function checkPort(port: number, bad: () => VpnError): number {
  if (port < 1 || port > 65_535) throw bad();
  return port;
}
