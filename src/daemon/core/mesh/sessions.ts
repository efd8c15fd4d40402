/** Sessions from the first handshake to the end: what the engine tells of them, and when they are renewed. */
import type { EngineEvent } from "../engine.js";
import type { Dialler } from "./dialler.js";
import { startKeepalive } from "./foreign-sessions.js";
import { isLeader } from "./listing.js";
import { labelOf, type Peer, virtualIpOf } from "./peer.js";
import type { PeerTable } from "./peer-table.js";
import type { Context } from "./types.js";

type Up = Extract<EngineEvent, { type: "up" }>;
type Closed = Extract<EngineEvent, { type: "closed" }>;
/** What is told of a peer while its session lives. */
export type SessionEvent = Extract<EngineEvent, { type: "silent" | "alive" | "path" | "rekey-due" }>;

const rekeyMs = 900_000;
const otherSideRekeyMs = 30_000;
/** Not dialled for so long after it said goodbye. */
const closedHoldMs = 5000;
/** Why the engine says that a session is closed: another one took its place. */
const replaced = 2;

export class Sessions {
  readonly #table: PeerTable;
  readonly #dialler: Dialler;
  readonly #context: Context;

  constructor(table: PeerTable, dialler: Dialler, context: Context) {
    this.#table = table;
    this.#dialler = dialler;
    this.#context = context;
  }

  onUp(event: Up): void {
    const { at } = this.#context;
    const peer = this.#table.byId(event.peer);
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
    delete peer.holdUntil;
    forgetRenewal(peer);
    if (foreign) {
      delete peer.name;
      if (role === "client") startKeepalive(peer, at.now);
    } else if (role === "client") {
      peer.rekeyAt = at.now + rekeyMs * (0.9 + 0.2 * this.#context.random());
    }
    this.#dialler.end(peer, this.#context, event.tag);
    if (this.#wantsEpoch(peer)) {
      peer.redial = "epoch";
      this.#dialler.later(peer, this.#context);
    }
    this.#tellUp(peer, event, renewed);
  }

  onClosed({ peer: id, assoc, reason }: Closed): void {
    const peer = this.#table.byId(id);
    if (peer === undefined || peer.session.kind === "none" || peer.session.assoc !== assoc) return;
    if (reason !== replaced) peer.holdUntil = this.#context.at.now + closedHoldMs;
    this.#ended(peer);
  }

  onEvent(event: SessionEvent): void {
    const { now } = this.#context.at;
    const peer = this.#table.byId(event.peer);
    if (peer === undefined || peer.session.kind === "none") return;
    switch (event.type) {
      case "silent":
        if (peer.session.kind === "live")
          peer.session = { ...peer.session, kind: "silent", silentSince: now };
        return;
      case "alive": {
        const { assoc, endpoint, role, foreign, cipher, epoch } = peer.session;
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
    }
  }

  /** The PSKs changed: sessions under one that is gone end, those under an older one are renewed by who leads. */
  onEpochs(): void {
    const { epochs } = this.#context.config;
    for (const peer of [...this.#table.all()]) {
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
      this.close(peer);
    }
  }

  /** Renews a session whose keys have become old. */
  rekey(peer: Peer): void {
    if (peer.rekeyAt === undefined || this.#context.at.now < peer.rekeyAt) return;
    delete peer.rekeyAt;
    peer.redial = "rekey";
  }

  /** Ends it, and says goodbye. */
  close(peer: Peer): void {
    this.#context.emit({ type: "close-peer", peer: peer.id });
    this.#ended(peer);
  }

  #ended(peer: Peer): void {
    peer.session = { kind: "none" };
    forgetRenewal(peer);
    this.#dialler.end(peer, this.#context);
  }

  /** A living session under an older PSK. Foreign peers are left alone until that is given up: they may take a second
   *  handshake for the end of the first. */
  #wantsEpoch(peer: Peer): boolean {
    const { session } = peer;
    if (session.kind !== "live" || session.foreign || !isLeader(this.#context.config, peer)) return false;
    return session.epoch !== this.#context.config.epochs[0]?.id;
  }

  #tellUp(peer: Peer, { endpoint, role, cipher, foreign }: Up, renewed: boolean): void {
    this.#context.emit({ type: "changed" });
    this.#context.emit({
      type: "log",
      level: renewed ? "debug" : "info",
      message: `session with ${labelOf(peer)} ${renewed ? "renewed" : "is up"}`,
      fields: {
        virtualIp: virtualIpOf(peer),
        endpoint,
        role,
        cipher,
        ...(foreign ? { foreign: "yes" } : {}),
      },
    });
  }
}

function forgetRenewal(peer: Peer): void {
  delete peer.redial;
  delete peer.rekeyAt;
  delete peer.keepaliveAt;
  delete peer.foreignCount;
}
