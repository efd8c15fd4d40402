/** Who may have a session: what a HELLO or a foreign handshake must show. Decides, changes nothing. */
import type { Endpoint, EngineEvent, Refusal } from "../engine.js";
import { type NodeRecord, openNodeRecord } from "../keys/node-record.js";
import { hostOf, isHostAddress } from "./address.js";
import type { Peer } from "./peer.js";
import type { PeerTable } from "./peer-table.js";
import type { Pins } from "./pins.js";
import type { MeshConfig } from "./types.js";

export type Hello = Extract<EngineEvent, { type: "hello" }>;
export type Foreign = Extract<EngineEvent, { type: "foreign" }>;

export type HelloVerdict =
  | { kind: "ourselves" }
  /** It uses our virtual IP. */
  | { kind: "conflict"; record: NodeRecord }
  /** `claims`: the virtual IP of another node that it claims, with a valid record. */
  | { kind: "refuse"; refusal: Refusal; detail: string; claims?: string }
  | { kind: "admit"; record: NodeRecord; nodeKey: string };

/**
 * @param dialled the peer that was dialled; undefined for incoming handshakes
 * @param onMap the virtual IP that the map shows at exactly this endpoint
 */
export function judgeHello(
  hello: Hello,
  dialled: Peer | undefined,
  onMap: string | undefined,
  config: MeshConfig,
  pins: Pins,
  wall: number,
): HelloVerdict {
  const epoch = config.epochs.find((one) => one.id === hello.epoch);
  if (epoch === undefined) return refuse("bad-record", "the PSK was given up meanwhile");
  const record = openNodeRecord(hello.record, epoch.keys);
  if (typeof record === "string") return refuse("bad-record", `record: ${record}`);
  const nodeKey = hex(hello.nodeKey);
  if (hex(record.nodeKey) !== nodeKey) return refuse("bad-record", "record of another node key");
  if (nodeKey === hex(config.nodeKey)) return { kind: "ourselves" };
  const subnet = { address: config.virtualIp, length: config.prefixLength };
  if (!record.virtualIps.every((address) => isHostAddress(address, subnet))) {
    return refuse("bad-record", "virtual IP outside the network");
  }
  if (record.virtualIps.includes(config.virtualIp)) return { kind: "conflict", record };
  if (dialled !== undefined && !record.virtualIps.some((address) => dialled.virtualIps.includes(address))) {
    return refuse("bad-record", "another node than the dialled one answered");
  }
  if (dialled === undefined && onMap !== undefined && !record.virtualIps.includes(onMap)) {
    return refuse("bad-record", "the map shows another virtual IP there");
  }
  const claims = record.virtualIps.find((address) => pins.check(address, nodeKey, wall) === "mismatch");
  if (claims !== undefined) {
    const detail = `virtual IP ${claims} is pinned to another node key`;
    return { kind: "refuse", refusal: "pinned", detail, claims };
  }
  return { kind: "admit", record, nodeKey };
}

export type ForeignVerdict =
  | { kind: "admit"; peer: Peer }
  | { kind: "refuse"; peer: Peer; refusal: Refusal }
  /** Not known who it is; it comes again with the source of its packets. */
  | { kind: "wait" };

/** A foreign peer is known only by its place on the map, and never gets an address that belongs to a vpnd node. */
export function judgeForeign(
  foreign: Foreign,
  dialled: Peer | undefined,
  table: PeerTable,
  pins: Pins,
  wall: number,
): ForeignVerdict {
  const peer = dialled ?? matchForeign(foreign, table);
  if (peer === undefined) return { kind: "wait" };
  const taken =
    peer.virtualIps.some((address) => pins.get(address, wall) !== undefined) ||
    (peer.session.kind !== "none" && !peer.session.foreign);
  if (taken) return { kind: "refuse", peer, refusal: "pinned" };
  return { kind: "admit", peer };
}

/** The listed peers at an endpoint: those at exactly this one, else those at its address. */
export function peersAt(endpoint: Endpoint, table: PeerTable): Peer[] {
  const exact: Peer[] = [];
  const near: Peer[] = [];
  const host = hostOf(endpoint);
  for (const peer of table.all()) {
    if (
      peer.listed.some((entry) => entry.publicEndpoint === endpoint || entry.privateEndpoint === endpoint)
    ) {
      exact.push(peer);
    } else if (peer.listed.some((entry) => hostOf(entry.publicEndpoint) === host)) near.push(peer);
  }
  return exact.length > 0 ? exact : near;
}

function matchForeign(foreign: Foreign, table: PeerTable): Peer | undefined {
  const there = peersAt(foreign.endpoint, table);
  if (there.length === 1) return there[0];
  if (foreign.innerSource === undefined) return undefined;
  const claimed = table.byAddress(foreign.innerSource);
  return claimed !== undefined && claimed.listed.length > 0 && claimed.nodeKey === undefined
    ? claimed
    : undefined;
}

function refuse(refusal: Refusal, detail: string): HelloVerdict {
  return { kind: "refuse", refusal, detail };
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
