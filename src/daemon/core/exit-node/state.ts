/** The use of an exit node as it is kept on disk: what the user asked for, and what is needed to start without asking anybody. */
import { parseEndpoint } from "../../../common/endpoint.js";
import type { Client } from "./offer.js";

/** A server's name and what it stood for: all look-ups go through the tunnel, which needs the server first. */
export interface KnownServer {
  name: string;
  /** "ADDR:PORT", canonical. */
  endpoints: readonly string[];
}

export interface ExitUse {
  /** Milliseconds since 1970. */
  since: number;
  network: string;
  /** In this order the first that is up carries the traffic; "auto": any that offers. */
  peers: readonly Client[] | "auto";
  allowLan: boolean;
  /** The kill switch that was turned on with it, by its time; it is lifted with it. */
  killSwitch?: number;
  servers: readonly KnownServer[];
}

/** Text of the state file. */
export function formatUse(use: ExitUse): string {
  return `${JSON.stringify({ version: 1, ...use }, undefined, 1)}\n`;
}

/** @returns undefined when the text makes no sense */
export function parseUse(text: string): ExitUse | undefined {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(file) || file.version !== 1) return undefined;
  const { since, network, peers, allowLan, killSwitch, servers } = file;
  if (typeof since !== "number" || typeof network !== "string" || typeof allowLan !== "boolean")
    return undefined;
  if (peers !== "auto" && !isList(peers, isClient)) return undefined;
  if (killSwitch !== undefined && typeof killSwitch !== "number") return undefined;
  if (!isList(servers, isServer)) return undefined;
  return { since, network, peers, allowLan, ...(killSwitch !== undefined && { killSwitch }), servers };
}

/** Whether the user asked for the same. */
export function sameUse(a: ExitUse, b: Pick<ExitUse, "network" | "peers" | "allowLan">): boolean {
  const keys = ({ peers }: Pick<ExitUse, "peers">): string =>
    peers === "auto" ? peers : peers.map((peer) => peer.nodeKey).join();
  return a.network === b.network && a.allowLan === b.allowLan && keys(a) === keys(b);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isEndpoint = (value: unknown): value is string => isText(value) && parseEndpoint(value) !== undefined;

function isList<T>(value: unknown, check: (one: unknown) => one is T): value is T[] {
  return Array.isArray(value) && value.every(check);
}

function isClient(value: unknown): value is Client {
  if (!isObject(value)) return false;
  const { nodeKey, virtualIp, name } = value;
  return isText(nodeKey) && isText(virtualIp) && (name === undefined || isText(name));
}

function isServer(value: unknown): value is KnownServer {
  return isObject(value) && isText(value.name) && isList(value.endpoints, isEndpoint);
}
