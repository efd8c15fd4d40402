import { parseEndpoint } from "../../../common/endpoint.js";
import { parseCidr } from "../network/cidr.js";

/** What the user wants let through besides tunnels. */
export interface KillSwitchOptions {
  /** Hosts on the attached subnets, as far as these are private. */
  allowLan: boolean;
  /** "HOST:PORT" each, as typed. */
  allow: readonly string[];
}

/** A host that was allowed, and what its name stood for. */
export interface AllowedHost {
  name: string;
  /** "ADDR:PORT", canonical. */
  endpoints: readonly string[];
}

/** A kill switch that is on: all that its rules are made from, and what is needed to bring them back without any lookup. */
export interface KillSwitchState {
  /** Milliseconds since 1970. */
  since: number;
  allowLan: boolean;
  allowed: readonly AllowedHost[];
  /** Prefixes of the LAN; empty unless `allowLan`. */
  lan: readonly string[];
  /** Names of vpnd's devices. */
  devices: readonly string[];
  /** Names of rendezvous servers and what they stood for: with the switch on there may be nobody to ask. */
  servers: readonly AllowedHost[];
}

/** Of a state that cannot be read: everything is shut that can be. */
export const strictest: KillSwitchState = {
  since: 0,
  allowLan: false,
  allowed: [],
  lan: [],
  devices: [],
  servers: [],
};

/** Whether the user asked for the same. */
export function asksTheSame(state: KillSwitchState, options: KillSwitchOptions): boolean {
  const names = (list: readonly string[]): string => [...new Set(list)].sort().join(" ");
  const had = state.allowed.map((host) => host.name);
  return state.allowLan === options.allowLan && names(had) === names(options.allow);
}

/** Text of the state file. */
export function formatState(state: KillSwitchState): string {
  return `${JSON.stringify({ version: 1, ...state }, undefined, 1)}\n`;
}

/** @returns undefined when the text makes no sense */
export function parseState(text: string): KillSwitchState | undefined {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(file) || file.version !== 1) return undefined;
  const { since, allowLan, allowed, lan, devices, servers } = file;
  if (typeof since !== "number" || typeof allowLan !== "boolean") return undefined;
  if (!isList(lan, isPrefix) || !isList(devices, isText)) return undefined;
  if (!isList(allowed, isHost) || !isList(servers, isHost)) return undefined;
  return { since, allowLan, allowed, lan, devices, servers };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isPrefix = (value: unknown): value is string => isText(value) && parseCidr(value) !== undefined;
const isEndpoint = (value: unknown): value is string => isText(value) && parseEndpoint(value) !== undefined;

function isList<T>(value: unknown, check: (one: unknown) => one is T): value is T[] {
  return Array.isArray(value) && value.every(check);
}

function isHost(value: unknown): value is AllowedHost {
  return isObject(value) && isText(value.name) && isList(value.endpoints, isEndpoint);
}
