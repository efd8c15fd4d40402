/**
 * The peers of a mesh and the rules between them and us: dialling, admitting, watching, forgetting.
 */
import type { Reason } from "../carrier.js";
import type { EngineEvent, PeerCounters, PeerId } from "../engine.js";
import { peersAt } from "./admission.js";
import { Dialler, problemOfFailure, wrongPsk } from "./dialler.js";
import { Gatekeeper } from "./gatekeeper.js";
import { endpointsToTry, isLeader, type Surroundings } from "./listing.js";
import type { OwnAddress } from "./own-address.js";
import { labelOf, type Peer, prefixesOf, problemOf, stateOf, virtualIpOf } from "./peer.js";
import { PeerTable } from "./peer-table.js";
import { whoIs } from "./peer-teller.js";
import type { Pins } from "./pins.js";
import { type Context, type MapEntry, punch } from "./types.js";

type PeerEvent = Exclude<EngineEvent, { type: "datagram" }>;

const closedHoldMs = 5000;
const missingCloseMs = 35_000;
/** A foreign peer may just have had nothing to say. */
const missingForeignCloseMs = 10_000;
const foreignIdleMs = 10_000;
const foreignStaleMs = 20_000;
const forgetOfflineMs = 600_000;
const keepaliveMs = 10_000;
const rekeyMs = 900_000;
const otherSideRekeyMs = 30_000;
const seeAgainMs = 3600_000;
const maxPunched = 4;
/** A peer that has to dial us and has not done so for this long cannot reach us. */
const awaitedTooLongMs = 15_000;
const awaitedProblemMs = 90_000;

export class Peers {
  readonly table = new PeerTable();
  here: Surroundings = { publicEndpoint: undefined, subnets: [], port: 0 };
  readonly #dialler = new Dialler();
  readonly #gate: Gatekeeper;
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
  }

  /** The maps of all servers that count, our own entries left out. */
  onListing(listing: ReadonlyMap<string, readonly MapEntry[]>): void {
    const { now } = this.#context.at;
    for (const [address, entries] of listing) {
      const peer = this.table.byAddress(address) ?? this.#gate.add(address);
      if (peer === undefined || virtualIpOf(peer) !== address) continue;
      const fresh = newEndpoints(peer, entries);
      if (fresh.length > 0 || entries.length > 1 || peer.listed.length !== entries.length) {
        peer.listed = [...fresh, ...entries.filter((entry) => !fresh.includes(entry))].sort(
          bySeen(peer, fresh),
        );
      } else peer.listed = entries;
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
    const { now } = this.#context.at;
    for (const [id, { rxPackets, txPackets }] of counters) {
      const peer = this.table.byId(id);
      if (peer === undefined || peer.session.kind !== "live" || !peer.session.foreign) continue;
      const last = peer.foreignCount;
      if (last === undefined || last.rxPackets !== rxPackets) {
        peer.foreignCount = { rxPackets, txPackets, since: now, idle: false };
        if (peer.redial === "stale") delete peer.redial;
        continue;
      }
      last.idle = now - last.since >= foreignIdleMs;
      const unanswered = txPackets > last.txPackets && now - last.since >= foreignStaleMs;
      if (unanswered && isLeader(this.#context.config, peer)) peer.redial ??= "stale";
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
        this.#onUp(event);
        return;
      case "failed": {
        this.#gate.forgetUnmatched(event.assoc);
        if (this.#own.isOurs(event.tag)) {
          this.#own.failed(event.tag, this.#context);
          return;
        }
        const peer = this.#dialler.peerOf(event.tag);
        if (event.reason === "signature") this.#logForged(event.endpoint, peer);
        if (peer === undefined) return;
        // It is about one PSK of several; the others are still being tried.
        const partly = event.reason === "wrong-psk" && this.#dialler.hasOthers(peer, event.tag);
        const problem = partly
          ? undefined
          : problemOfFailure(peer, event.reason, event.refusal, this.#context.at.now);
        if (problem?.refused === true && event.reason === "refused") {
          this.#reportBeside(peer, event.endpoint, problem.reason);
        }
        this.#dialler.failed(peer, event.tag, problem, this.#context);
        return;
      }
      case "wrong-psk":
        this.#onWrongPsk(event);
        return;
      case "closed":
        this.#onClosed(event);
        return;
      default:
        this.#onPeerEvent(event);
        return;
    }
  }

  /** The PSKs changed: sessions under one that is gone end, those under an older one are renewed by who leads. */
  onEpochs(): void {
    const { epochs } = this.#context.config;
    for (const peer of [...this.table.all()]) {
      const { session } = peer;
      if (session.kind === "none") {
        // Perhaps it was refused for the old one.
        this.#dialler.hurry(peer, this.#context);
        continue;
      }
      if (epochs.some((epoch) => epoch.id === session.epoch)) {
        if (peer.redial === "epoch") delete peer.redial;
        if (this.#wantsEpoch(peer)) peer.redial ??= "epoch";
        this.#dialler.hurry(peer, this.#context);
        continue;
      }
      this.#context.emit({
        type: "log",
        level: "warn",
        message: `session with ${labelOf(peer)} ends: its PSK is accepted no more`,
        fields: { virtualIp: virtualIpOf(peer) },
      });
      this.#context.emit({ type: "close-peer", peer: peer.id });
      this.#sessionEnded(peer);
    }
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
      this.#closeMissing(peer);
      if (this.#forgetLongGone(peer)) continue;
      this.#keepOpen(peer);
      this.#await(peer);
      if (peer.rekeyAt !== undefined && now >= peer.rekeyAt) {
        delete peer.rekeyAt;
        peer.redial = "rekey";
      }
      this.#dialler.step(peer, mayDial && this.#wantsDial(peer), targets, this.#context);
    }
    if (now - this.#seenAt >= seeAgainMs) this.#seeAll();
  }

  wakeAt(): number {
    let at = this.#seenAt + seeAgainMs;
    for (const peer of this.table.all()) {
      at = Math.min(at, this.#dialler.wakeAt(peer), peer.rekeyAt ?? at, peer.keepaliveAt ?? at);
      if (peer.session.kind !== "none" && peer.missingSince !== undefined) {
        at = Math.min(at, this.#missingCloseAt(peer, peer.missingSince));
      }
      if (peer.awaitedSince !== undefined && !hasProblem(peer, this.#context.at.now)) {
        at = Math.min(at, peer.awaitedSince + awaitedTooLongMs);
      }
      if (peer.offlineSince !== undefined) at = Math.min(at, peer.offlineSince + forgetOfflineMs);
      if (peer.problem !== undefined && hasProblem(peer, this.#context.at.now)) {
        at = Math.min(at, peer.problem.until);
      }
      if (this.#wantsDial(peer) && peer.attempt.kind === "idle")
        at = Math.min(at, this.#context.at.now + 1000);
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

  #onUp(event: Extract<PeerEvent, { type: "up" }>): void {
    const { at, random } = { at: this.#context.at, random: () => this.#context.random() };
    const peer = this.table.byId(event.peer);
    // Forgotten between `admit` and `up`.
    if (peer === undefined) {
      this.#context.emit({ type: "remove-peer", peer: event.peer });
      return;
    }
    const { assoc, endpoint, role, foreign, cipher, epoch } = event;
    const renewed = peer.session.kind !== "none";
    peer.session = { kind: "live", assoc, endpoint, role, foreign, cipher, epoch };
    peer.failures = 0;
    peer.lastHandshake = at.wall;
    delete peer.problem;
    delete peer.redial;
    delete peer.holdUntil;
    delete peer.rekeyAt;
    delete peer.keepaliveAt;
    delete peer.foreignCount;
    if (foreign) {
      delete peer.name;
      if (role === "client") peer.keepaliveAt = at.now + keepaliveMs;
    } else if (role === "client") {
      peer.rekeyAt = at.now + rekeyMs * (0.9 + 0.2 * random());
    }
    this.#dialler.end(peer, this.#context, event.tag);
    if (this.#wantsEpoch(peer)) {
      peer.redial = "epoch";
      this.#dialler.later(peer, this.#context);
    }
    this.#context.emit({ type: "changed" });
    this.#context.emit({
      type: "log",
      level: renewed ? "debug" : "info",
      message: renewed ? `session with ${labelOf(peer)} renewed` : `session with ${labelOf(peer)} is up`,
      fields: {
        virtualIp: virtualIpOf(peer),
        endpoint,
        role,
        cipher,
        ...(foreign ? { foreign: "yes" } : {}),
      },
    });
  }

  #onWrongPsk({ tag, endpoint }: Extract<PeerEvent, { type: "wrong-psk" }>): void {
    const dialled = tag === 0 ? undefined : this.#dialler.peerOf(tag);
    const there = tag === 0 ? peersAt(endpoint, this.table) : [];
    const peer = dialled ?? (there.length === 1 ? there[0] : undefined);
    if (dialled !== undefined && this.#onOtherPsk(dialled, tag)) return;
    // A hint anybody can send: it never ends anything.
    const problem = wrongPsk(this.#context.at.now);
    if (peer === undefined) {
      const reason = { ...problem.reason, message: "somebody without the network's PSK wants a session" };
      const message = `${endpoint} tried a session with another PSK`;
      this.#context.report({ type: "error", reason, endpoint, message });
    } else if (peer.session.kind === "none") peer.problem = problem;
    else this.#reportBeside(peer, endpoint, problem.reason);
  }

  /** Trouble with a peer whose session lives on, which its state does not show. */
  #reportBeside(peer: Peer, endpoint: string, reason: Reason): void {
    if (peer.session.kind === "none") return;
    this.#context.report({
      type: "error",
      peer: whoIs(peer),
      state: stateOf(peer, this.#context.at.now),
      reason,
      endpoint,
      message: `beside the session with ${labelOf(peer)}, at ${endpoint}: ${reason.message}`,
    });
  }

  #logForged(endpoint: string, dialled: Peer | undefined): void {
    // Without a session it becomes the dialled peer's state, and is told as that.
    if (dialled === undefined || dialled.session.kind !== "none") {
      const message = "the hello is not of its handshake; somebody may be in the middle";
      this.#context.report({
        type: "error",
        ...(dialled !== undefined && { peer: whoIs(dialled) }),
        reason: { code: "signature", message },
        endpoint,
        message: `refused a session with ${endpoint}: ${message}`,
      });
    }
    this.#context.emit({
      type: "log",
      level: "warn",
      message: "refused a session: the hello is not of this handshake; somebody may be in the middle",
      fields: { endpoint, refusal: "signature" },
    });
  }

  /** While a change of PSKs is under way a wrong one is nothing to complain about. Returns whether that is all. */
  #onOtherPsk(peer: Peer, tag: number): boolean {
    if (peer.session.kind === "live" && peer.redial === "epoch") {
      // Its session lives under a PSK that it knows; ask again later whether it has learned the new one.
      this.#context.emit({ type: "abort", tag });
      this.#dialler.failed(peer, tag, undefined, this.#context);
      return true;
    }
    return this.#dialler.tryOtherEpoch(peer, tag, this.#context);
  }

  /** A living session under an older PSK. Foreign peers are left alone until that is given up: they may take a second
   *  handshake for the end of the first. */
  #wantsEpoch(peer: Peer): boolean {
    const { session } = peer;
    if (session.kind !== "live" || session.foreign || !isLeader(this.#context.config, peer)) return false;
    return session.epoch !== this.#context.config.epochs[0]?.id;
  }

  #onClosed({ peer: id, assoc, reason }: Extract<PeerEvent, { type: "closed" }>): void {
    const peer = this.table.byId(id);
    if (peer === undefined || peer.session.kind === "none" || peer.session.assoc !== assoc) return;
    const replaced = 2;
    if (reason !== replaced) peer.holdUntil = this.#context.at.now + closedHoldMs;
    this.#sessionEnded(peer);
  }

  #onPeerEvent(event: Extract<PeerEvent, { peer: PeerId }>): void {
    const { now } = this.#context.at;
    const peer = this.table.byId(event.peer);
    if (peer === undefined || peer.session.kind === "none") return;
    switch (event.type) {
      case "silent":
        if (peer.session.kind === "live")
          peer.session = { ...peer.session, kind: "silent", silentSince: now };
        return;
      case "alive": {
        const { session } = peer;
        const { assoc, endpoint, role, foreign, cipher, epoch } = session;
        peer.session = { kind: "live", assoc, endpoint, role, foreign, cipher, epoch };
        return;
      }
      case "path":
        peer.session.endpoint = event.endpoint;
        this.#context.emit({ type: "changed" });
        return;
      case "rekey-due":
        if (peer.session.foreign) return;
        if (peer.session.role === "client") peer.redial = "rekey";
        // The other side's own counters may lag behind ours; give it time, so that not both dial.
        else peer.rekeyAt ??= now + otherSideRekeyMs;
        return;
      default:
        return;
    }
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

  /** The smaller address only waits: says why nothing comes of it. */
  #await(peer: Peer): void {
    const { now } = this.#context.at;
    const awaited =
      peer.session.kind === "none" &&
      peer.listed.length > 0 &&
      peer.holdUntil === undefined &&
      !isLeader(this.#context.config, peer);
    if (!awaited) {
      delete peer.awaitedSince;
      return;
    }
    peer.awaitedSince ??= now;
    if (now - peer.awaitedSince < awaitedTooLongMs || hasProblem(peer, now)) return;
    const message =
      "no handshake from the peer, which has to start it; a firewall may block UDP between here and there";
    peer.problem = { reason: { code: "timeout", message }, refused: false, until: now + awaitedProblemMs };
    this.#context.emit({ type: "changed" });
  }

  /** Only the leader keeps the NATs open to a foreign peer; nothing else is ever sent to one. */
  #keepOpen(peer: Peer): void {
    const { now } = this.#context.at;
    if (peer.keepaliveAt === undefined || peer.session.kind === "none" || now < peer.keepaliveAt) return;
    this.#context.emit({ type: "send", to: peer.session.endpoint, data: punch });
    peer.keepaliveAt = now + keepaliveMs;
  }

  #missingCloseAt(peer: Peer, missingSince: number): number {
    if (peer.session.kind === "silent") return missingSince;
    const idleForeign =
      peer.session.kind === "live" && peer.session.foreign && peer.foreignCount?.idle === true;
    return missingSince + (idleForeign ? missingForeignCloseMs : missingCloseMs);
  }

  #closeMissing(peer: Peer): void {
    const { now } = this.#context.at;
    if (peer.session.kind === "none" || peer.missingSince === undefined) return;
    if (now < this.#missingCloseAt(peer, peer.missingSince)) return;
    this.#context.emit({ type: "close-peer", peer: peer.id });
    this.#sessionEnded(peer);
  }

  #sessionEnded(peer: Peer): void {
    peer.session = { kind: "none" };
    delete peer.redial;
    delete peer.rekeyAt;
    delete peer.keepaliveAt;
    delete peer.foreignCount;
    this.#dialler.end(peer, this.#context);
  }

  /** Peers that vanished are shown for ten minutes more. Returns whether it is gone. */
  #forgetLongGone(peer: Peer): boolean {
    const { now } = this.#context.at;
    if (peer.session.kind !== "none" || peer.listed.length > 0) {
      delete peer.offlineSince;
      return false;
    }
    peer.offlineSince ??= now;
    if (now - peer.offlineSince < forgetOfflineMs) return false;
    this.#gate.remove(peer);
    return true;
  }
}

function hasProblem(peer: Peer, now: number): boolean {
  return problemOf(peer, now) !== undefined;
}

/** Entries at endpoints where the peer was not listed before. */
function newEndpoints(peer: Peer, entries: readonly MapEntry[]): MapEntry[] {
  if (entries === peer.listed) return [];
  return entries.filter((entry) => !peer.listed.some((one) => one.publicEndpoint === entry.publicEndpoint));
}

/** New endpoints first as the map has them, the others in the order they had. */
function bySeen(peer: Peer, fresh: readonly MapEntry[]): (a: MapEntry, b: MapEntry) => number {
  const order = [...fresh, ...peer.listed].map((entry) => entry.publicEndpoint);
  return (a, b) => order.indexOf(a.publicEndpoint) - order.indexOf(b.publicEndpoint);
}
