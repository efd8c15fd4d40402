/** What a node tells its peers about itself inside the tunnel (docs/wire.md): a claim, with which nothing is done unasked. */
import { canonicalAddress } from "../../../common/endpoint.js";
import { maxControlBytes } from "../engine.js";
import { readRoutePrefix } from "./prefix.js";

export interface Announcement {
  /** One DNS label. */
  name?: string;
  /** Whether it carries others' traffic to the Internet, and under which addresses the outside sees it. */
  exit: { v4: boolean; v6: boolean; seen?: readonly string[] };
  /** Subnets that it carries packets to, canonical. */
  routes: readonly string[];
}

export type Message =
  | { kind: "announce"; sequence: bigint; what: Announcement }
  | { kind: "ack"; sequence: bigint };

/** As many as fit when each is as long as can be. */
export const maxAnnouncedRoutes = 16;
/** One of each family. */
const maxSeen = 2;
const announceType = 0x20;
const ackType = 0x21;
const version = 1;
const headerBytes = 10;
const nameRule = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** @param sequence grows with each change */
export function encodeAnnouncement(sequence: bigint, what: Announcement): Uint8Array {
  const { name, exit, routes } = what;
  const body = JSON.stringify({ ...(name !== undefined && { name }), exit, routes });
  return Buffer.concat([header(announceType, sequence), Buffer.from(body)]);
}

export function encodeAck(sequence: bigint): Uint8Array {
  return header(ackType, sequence);
}

/** Undefined for what is no announcement nor its answer, of another version, or not well-formed. Never throws. */
export function decodeMessage(data: Uint8Array): Message | undefined {
  if (data.length < headerBytes || data.length > maxControlBytes || data[1] !== version) return undefined;
  const sequence = new DataView(data.buffer, data.byteOffset).getBigUint64(2);
  if (data[0] === ackType) return { kind: "ack", sequence };
  if (data[0] !== announceType) return undefined;
  const what = readBody(data.subarray(headerBytes));
  return what === undefined ? undefined : { kind: "announce", sequence, what };
}

function header(type: number, sequence: bigint): Buffer {
  const out = Buffer.alloc(headerBytes);
  out.writeUInt8(type, 0);
  out.writeUInt8(version, 1);
  out.writeBigUInt64BE(sequence, 2);
  return out;
}

function readBody(bytes: Uint8Array): Announcement | undefined {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (!isObject(body)) return undefined;
  const { name, exit = {}, routes = [] } = body;
  if (!isObject(exit) || !Array.isArray(routes) || routes.length > maxAnnouncedRoutes) return undefined;
  const { v4 = false, v6 = false, seen = [] } = exit;
  if (typeof v4 !== "boolean" || typeof v6 !== "boolean") return undefined;
  if (!Array.isArray(seen) || seen.length > maxSeen || !seen.every(isAddress)) return undefined;
  if (name !== undefined && (typeof name !== "string" || !nameRule.test(name))) return undefined;
  const prefixes: string[] = [];
  for (const route of routes) {
    if (typeof route !== "string" || readRoutePrefix(route) === undefined) return undefined;
    if (!prefixes.includes(route)) prefixes.push(route);
  }
  const asked = { v4, v6, ...(seen.length > 0 && { seen }) };
  return { ...(name !== undefined && { name }), exit: asked, routes: prefixes };
}

const isAddress = (value: unknown): value is string =>
  typeof value === "string" && canonicalAddress(value) === value;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
