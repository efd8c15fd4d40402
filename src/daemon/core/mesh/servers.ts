/**
 * The rendezvous servers of a network: heartbeats, resolving, and which of them answer.
 *
 * A server is *unresolved* until its name has an address, *up* while its last map is younger than 15 s, else *silent*.
 * A silent server says nothing about nodes: its last map goes on counting.
 */
import { formatEndpoint } from "../../../common/endpoint.js";
import { backoffMs } from "../backoff.js";
import type { ServerView } from "../carrier.js";
import type { Endpoint } from "../engine.js";
import { hostOf, inSubnet, type Subnet } from "./address.js";
import type { Context, MapCodec, MapEntry, NodeMap } from "./types.js";

const firstBeatsMs = [250, 500, 1000];
const eagerBeatMs = 2000;
const beatMs = 5000;
/** A server without a map for this long is silent. */
const silentAfterMs = 15_000;
const resolveBackoff = { firstMs: 1000, maxMs: 60_000 };
/** How long the last map of a silent server counts beside servers that answer. */
const staleMapMs = 600_000;
const maxAddresses = 8;

interface Server {
  readonly name: string;
  addresses: readonly Endpoint[];
  /** Which address is in use; moves on at each unanswered heartbeat. */
  active: number;
  beats: number;
  nextBeatAt: number;
  resolving: boolean;
  nextResolveAt: number;
  resolves: number;
  map?: NodeMap;
  /** The datagram that `map` came in. */
  mapBytes?: Uint8Array;
  lastMapAt?: number;
}

export class Servers {
  #servers: readonly Server[] = [];
  readonly #codec: MapCodec;
  #subnets: readonly Subnet[] = [];
  #listed: { maps: readonly NodeMap[]; listing: ReadonlyMap<string, readonly MapEntry[]> };

  constructor(names: readonly string[], codec: MapCodec) {
    this.#codec = codec;
    this.#listed = { maps: [], listing: new Map() };
    this.set(names);
  }

  /** Those that are known already go on as they are; the maps of those that are left out count no more. */
  set(names: readonly string[]): void {
    this.#servers = [...new Set(names)].map(
      (name) => this.#servers.find((one) => one.name === name) ?? newServer(name),
    );
  }

  setSubnets(subnets: readonly Subnet[]): void {
    this.#subnets = subnets;
  }

  /** Begins again with quick heartbeats, as after a start. */
  restart(now: number): void {
    for (const server of this.#servers) {
      server.beats = 0;
      server.nextBeatAt = now;
      delete server.map;
      delete server.mapBytes;
      delete server.lastMapAt;
    }
  }

  resolved(name: string, endpoints: readonly Endpoint[], context: Context): void {
    const { now } = context.at;
    const server = this.#servers.find((one) => one.name === name);
    if (server === undefined) return;
    server.resolving = false;
    server.resolves += 1;
    server.nextResolveAt = now + backoffMs(resolveBackoff, server.resolves, context.random());
    if (endpoints.length === 0) return;
    const inUse = server.addresses[server.active];
    server.addresses = endpoints.slice(0, maxAddresses);
    const still = inUse === undefined ? -1 : server.addresses.indexOf(inUse);
    server.active = Math.max(0, still);
    if (still < 0) {
      server.beats = 0;
      server.nextBeatAt = now;
    }
  }

  /** Sends what is due. */
  step(context: Context): void {
    const { now } = context.at;
    for (const server of this.#servers) {
      if (this.#needsResolving(server, now)) {
        server.resolving = true;
        context.emit({ type: "resolve", server: server.name });
      }
      if (server.addresses.length > 0 && now >= server.nextBeatAt) this.#beat(server, context);
    }
  }

  wakeAt(now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const server of this.#servers) {
      if (server.addresses.length > 0) at = Math.min(at, server.nextBeatAt);
      if (!server.resolving && !answers(server, now)) at = Math.min(at, server.nextResolveAt);
      if (server.lastMapAt !== undefined && answers(server, now)) {
        at = Math.min(at, server.lastMapAt + silentAfterMs);
      }
    }
    return at;
  }

  /** Takes a map. Undefined when the datagram is not a map or does not come from a server. */
  onDatagram(from: Endpoint, data: Uint8Array, now: number): NodeMap | undefined {
    const server = this.#servers.find((one) => one.addresses.includes(from));
    if (server === undefined) return undefined;
    // Most maps say what the last one said.
    const map = isSame(server.mapBytes, data) ? server.map : this.#codec.decodeMap(data);
    if (map === undefined) return undefined;
    if (server.map !== map) server.mapBytes = data.slice();
    if (server.map === undefined) server.nextBeatAt = now + beatMs;
    server.map = map;
    server.lastMapAt = now;
    server.active = server.addresses.indexOf(from);
    server.resolves = 0;
    return map;
  }

  /** Whether the datagram comes from a configured server, at an address its name has. */
  isServer(from: Endpoint): boolean {
    return this.#servers.some((one) => one.addresses.includes(from));
  }

  anyAnswers(now: number): boolean {
    return this.#servers.some((server) => answers(server, now));
  }

  /**
   * Entries of all maps that count, newest first within a virtual IP; an endpoint once. The same object as the last time when
   * nothing has changed.
   */
  listing(now: number): ReadonlyMap<string, readonly MapEntry[]> {
    const others = this.anyAnswers(now);
    const maps = [...this.#servers]
      .sort((a, b) => (b.lastMapAt ?? 0) - (a.lastMapAt ?? 0))
      .filter(({ lastMapAt = 0 }) => !others || now - lastMapAt <= staleMapMs)
      .flatMap(({ map }) => (map === undefined ? [] : [map]));
    const last = this.#listed.maps;
    const same = maps.length === last.length && maps.every((map, index) => map === last[index]);
    if (!same) this.#listed = { maps, listing: merged(maps) };
    return this.#listed.listing;
  }

  view(now: number): ServerView[] {
    return this.#servers.map((server) => ({
      address: server.name,
      state: answers(server, now) ? "up" : server.addresses.length > 0 ? "silent" : "unresolved",
      ...(server.lastMapAt === undefined ? {} : { lastHeardSeconds: (now - server.lastMapAt) / 1000 }),
    }));
  }

  #needsResolving(server: Server, now: number): boolean {
    return !server.resolving && !answers(server, now) && now >= server.nextResolveAt;
  }

  #beat(server: Server, context: Context): void {
    const { now } = context.at;
    // Only a server that does not answer is tried at its next address: two addresses would register this node twice.
    if (server.beats > 0 && !answers(server, now))
      server.active = (server.active + 1) % server.addresses.length;
    const to = server.addresses[server.active];
    if (to === undefined) return;
    const { virtualIp, port } = context.config;
    context.emit({
      type: "send",
      to,
      data: this.#codec.encodeHeartbeat(virtualIp, this.#ownAddress(to, port)),
    });
    const interval = server.map === undefined ? (firstBeatsMs[server.beats] ?? eagerBeatMs) : beatMs;
    server.nextBeatAt = now + interval;
    server.beats += 1;
  }

  /** The own address that the server's network would see first: same subnet, else any of the same family. */
  #ownAddress(server: Endpoint, port: number): Endpoint | undefined {
    const host = hostOf(server);
    if (host === undefined) return undefined;
    const v6 = host.includes(":");
    const candidates = this.#subnets.filter((subnet) => subnet.address.includes(":") === v6);
    const best = candidates.find((subnet) => inSubnet(host, subnet)) ?? candidates[0];
    return best && formatEndpoint(best.address, port);
  }
}

function newServer(name: string): Server {
  return {
    name,
    addresses: [],
    active: 0,
    beats: 0,
    nextBeatAt: 0,
    resolving: false,
    nextResolveAt: 0,
    resolves: 0,
  };
}

function answers(server: Server, now: number): boolean {
  return server.lastMapAt !== undefined && now - server.lastMapAt < silentAfterMs;
}

function merged(maps: readonly NodeMap[]): Map<string, MapEntry[]> {
  const listing = new Map<string, MapEntry[]>();
  for (const { entries } of maps) {
    for (const entry of entries) {
      const known = listing.get(entry.virtualIp);
      if (known === undefined) listing.set(entry.virtualIp, [entry]);
      else if (!known.some((one) => one.publicEndpoint === entry.publicEndpoint)) known.push(entry);
    }
  }
  return listing;
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
