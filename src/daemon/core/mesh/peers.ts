/**
 * The peers of a mesh and the rules between them and us: dialling, admitting, watching, forgetting.
 */
import type { EngineEvent, PeerCounters, PeerId } from "../engine.js";
import { absenceWakeAt, awaitHandshake, closesAt, noteOffline } from "./absence.js";
import { Dialler } from "./dialler.js";
import { keepOpen, onForeignCounters } from "./foreign-sessions.js";
import { Gatekeeper } from "./gatekeeper.js";
import { HandshakeTroubles } from "./handshake-troubles.js";
import { endpointsToTry, isLeader, relist, type Surroundings } from "./listing.js";
import type { OwnAddress } from "./own-address.js";
import { type Peer, prefixesOf, problemOf, virtualIpOf } from "./peer.js";
import { PeerTable } from "./peer-table.js";
import type { Pins } from "./pins.js";
import { Sessions } from "./sessions.js";
import { type Context, type MapEntry, punch } from "./types.js";

type PeerEvent = Exclude<EngineEvent, { type: "datagram" }>;

const seeAgainMs = 3600_000;
const maxPunched = 4;
const nextStepMs = 1000;

export class Peers {
  readonly table = new PeerTable();
  here: Surroundings = { publicEndpoint: undefined, subnets: [], port: 0 };
  readonly #dialler = new Dialler();
  readonly #gate: Gatekeeper;
  readonly #sessions: Sessions;
  readonly #troubles: HandshakeTroubles;
  readonly #pins: Pins;
  readonly #own: OwnAddress;
  readonly #context: Context;
  #seenAt: number;

  constructor(pins: Pins, own: OwnAddress, context: Context) {
    this.#pins = pins;
    this.#own = own;
    this.#context = context;
    this.#seenAt = context.at.now;
    this.#gate = new Gatekeeper(this.table, this.#dialler, pins, own, context);
    this.#sessions = new Sessions(this.table, this.#dialler, context);
    this.#troubles = new HandshakeTroubles(this.table, this.#dialler, context);
  }

  /** The maps of all servers that count, our own entries left out. */
  onListing(listing: ReadonlyMap<string, readonly MapEntry[]>): void {
    const { now } = this.#context.at;
    for (const [address, entries] of listing) {
      const peer = this.table.byAddress(address) ?? this.#gate.add(address);
      if (peer === undefined || virtualIpOf(peer) !== address) continue;
      const fresh = relist(peer, entries);
      delete peer.missingSince;
      if (peer.holdUntil !== undefined && (now >= peer.holdUntil || fresh.length > 0)) delete peer.holdUntil;
      if (fresh.length > 0) this.#onNewEndpoint(peer);
    }
    for (const peer of this.table.all()) {
      if (listing.has(virtualIpOf(peer))) continue;
      peer.listed = [];
      peer.missingSince ??= now;
    }
    this.#gate.matchAgain();
  }

  /** With each map the smaller address opens its NAT for the larger one, until there is a session and never after. */
  punch(): void {
    for (const peer of this.table.all()) {
      if (peer.session.kind === "live" || peer.holdUntil !== undefined) continue;
      if (isLeader(this.#context.config, peer)) continue;
      for (const to of endpointsToTry(peer, this.here).slice(0, maxPunched)) {
        this.#context.emit({ type: "send", to, data: punch });
      }
    }
  }

  onCounters(counters: ReadonlyMap<PeerId, PeerCounters>): void {
    for (const [id, counted] of counters) {
      const peer = this.table.byId(id);
      if (peer !== undefined) onForeignCounters(peer, counted, this.#context);
    }
  }

  onEngine(event: PeerEvent): void {
    switch (event.type) {
      case "hello":
        this.#gate.onHello(event);
        return;
      case "foreign":
        this.#gate.onForeign(event);
        return;
      case "up":
        this.#sessions.onUp(event);
        return;
      case "failed":
        this.#gate.forgetUnmatched(event.assoc);
        if (this.#own.isOurs(event.tag)) this.#own.failed(event.tag, this.#context);
        else this.#troubles.onFailed(event);
        return;
      case "wrong-psk":
        this.#troubles.onWrongPsk(event);
        return;
      case "closed":
        this.#sessions.onClosed(event);
        return;
      case "silent":
      case "alive":
      case "path":
      case "rekey-due":
        this.#sessions.onEvent(event);
        return;
      case "pong":
      case "control":
        return;
    }
  }

  /** The PSKs changed. */
  onEpochs(): void {
    this.#sessions.onEpochs();
  }

  /** Who carries which prefixes besides its own addresses, by node key. */
  onRoutes(routes: ReadonlyMap<string, readonly string[]>): void {
    const changed: Peer[] = [];
    for (const peer of this.table.all()) {
      const next = (peer.nodeKey === undefined ? undefined : routes.get(peer.nodeKey)) ?? [];
      if (next.join() === (peer.routes ?? []).join()) continue;
      peer.routes = next;
      changed.push(peer);
    }
    // Whoever gives a prefix up goes first: two peers must not have it at once.
    changed.sort((a, b) => (a.routes?.length ?? 0) - (b.routes?.length ?? 0));
    for (const peer of changed) {
      if (peer.session.kind === "none") continue;
      this.#context.emit({ type: "set-peer", peer: peer.id, prefixes: prefixesOf(peer) });
    }
  }

  /** @param answering whether a server answers @param mayDial false while our own address is in doubt */
  step(answering: boolean, mayDial: boolean): void {
    const { now } = this.#context.at;
    const targets = (peer: Peer) => endpointsToTry(peer, this.here);
    for (const peer of [...this.table.all()]) {
      // A silent server says nothing about who left.
      if (!answering && peer.missingSince !== undefined) peer.missingSince = now;
      if (now >= closesAt(peer)) this.#sessions.close(peer);
      if (noteOffline(peer, now)) {
        this.#gate.remove(peer);
        continue;
      }
      keepOpen(peer, this.#context);
      awaitHandshake(peer, this.#context);
      this.#sessions.rekey(peer);
      this.#dialler.step(peer, mayDial && this.#wantsDial(peer), targets, this.#context);
    }
    if (now - this.#seenAt >= seeAgainMs) this.#seeAll();
  }

  wakeAt(): number {
    const { now } = this.#context.at;
    let at = this.#seenAt + seeAgainMs;
    for (const peer of this.table.all()) {
      at = Math.min(at, this.#dialler.wakeAt(peer), peer.rekeyAt ?? at, peer.keepaliveAt ?? at);
      at = Math.min(at, absenceWakeAt(peer, now), problemOf(peer, now)?.until ?? at);
      if (this.#wantsDial(peer) && peer.attempt.kind === "idle") at = Math.min(at, now + nextStepMs);
    }
    return at;
  }

  /** Forgets the peer of an address altogether. */
  forget(address: string): void {
    const peer = this.table.byAddress(address);
    if (peer !== undefined) this.#gate.remove(peer);
  }

  /** Ends everything: our address belongs to another node. */
  hangUp(): void {
    for (const peer of [...this.table.all()]) this.#gate.remove(peer);
  }

  #wantsDial(peer: Peer): boolean {
    const leader = isLeader(this.#context.config, peer);
    if (peer.session.kind === "live") return peer.redial !== undefined;
    if (peer.session.kind === "silent") return leader;
    return leader && peer.listed.length > 0 && peer.holdUntil === undefined;
  }

  #onNewEndpoint(peer: Peer): void {
    this.#dialler.hurry(peer, this.#context);
    const { session } = peer;
    if (session.kind !== "live" || !isLeader(this.#context.config, peer)) return;
    const known = peer.listed.some((entry) => entry.publicEndpoint === session.endpoint);
    const newest = peer.listed[0]?.publicEndpoint;
    // A living session whose endpoint is listed no longer first: the node has restarted elsewhere, or its NAT forgot it.
    if (newest !== session.endpoint && (known || !session.foreign)) peer.redial ??= "moved";
  }

  /** Living sessions keep their pins from growing old. */
  #seeAll(): void {
    const { now, wall } = this.#context.at;
    this.#seenAt = now;
    for (const peer of this.table.all()) {
      if (peer.session.kind !== "live" || peer.nodeKey === undefined) continue;
      for (const address of peer.virtualIps) this.#pins.see(address, peer.nodeKey, wall);
    }
    this.#context.emit({ type: "persist-pins", pins: this.#pins.list(wall) });
  }
}
