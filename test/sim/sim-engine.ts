/**
 * A stand-in for the native engine that keeps the promises of src/daemon/core/engine.ts without any cryptography: the PSK is
 * compared, not proven. Handshakes lose, repeat and time out like real ones.
 */
import type {
  Assoc,
  Endpoint,
  EngineCounters,
  EngineEpoch,
  EngineEvent,
  EngineIdentity,
  EpochId,
  HandshakeFailure,
  MeshEngine,
  PeerCounters,
  PeerId,
  Refusal,
  Role,
  Tag,
} from "../../src/daemon/core/engine.js";
import { signingKey } from "../../src/daemon/core/keys/ed25519.js";
import { hex } from "../../src/daemon/core/mesh/admission.js";
import type { Clock } from "./clock.js";
import type { Socket } from "./network.js";
import { type Association, Associations, type ClientHello, type Message } from "./sim-associations.js";

interface SimPeer {
  prefixes: readonly string[];
  session?: Association;
  lastHeard: number;
  silent: boolean;
  counters: PeerCounters;
}

const handshakeMs = 10_000;
const repeatMs = 700;
const pingMs = 5000;
const deadMs = 15_000;
const drainMs = 5000;

export class SimEngine implements MeshEngine {
  onEvent: (event: EngineEvent) => void = () => {};
  /** Inner packets that arrived, "source>destination". */
  readonly received: string[] = [];
  /** Probes take no time: for hours of many nodes. */
  cheapProbes = false;
  readonly #clock: Clock;
  readonly #socket: Socket;
  #identity: EngineIdentity;
  readonly #nodeKey: Uint8Array;
  readonly #associations: Associations;
  readonly #peers = new Map<PeerId, SimPeer>();
  #stopped = false;

  /** @param bind gives the socket, delivering to the function that it gets */
  constructor(
    clock: Clock,
    identity: EngineIdentity,
    random: () => number,
    bind: (receive: (from: Endpoint, payload: Uint8Array | Message) => void) => Socket,
  ) {
    this.#clock = clock;
    this.#identity = identity;
    this.#nodeKey = signingKey(identity.nodeSeed).publicKey;
    // Numbers differ between runs of a node, so that old sessions do not fit new engines.
    this.#associations = new Associations(Math.floor(random() * 2 ** 40));
    this.#socket = bind((from, payload) => this.#receive(from, payload));
  }

  /** Sessions and handshakes, those that drain included. */
  get associations(): number {
    return this.#associations.size;
  }

  get port(): number {
    return this.#socket.port;
  }

  start(): void {
    this.#pingAll();
  }

  async stop(): Promise<void> {
    this.halt(true);
  }

  /** @param polite false: as after kill -9 */
  halt(polite: boolean): void {
    if (this.#stopped) return;
    for (const id of [...this.#peers.keys()]) this.#end(id, polite ? 0 : undefined);
    this.#stopped = true;
    this.#socket.close();
    for (const association of this.#associations.all()) association.cancel();
  }

  send(to: Endpoint, data: Uint8Array): void {
    this.#socket.send(to, data);
  }

  connect(tag: Tag, to: Endpoint, epoch?: EpochId): void {
    const association = this.#make(tag, "client", to, epoch ?? this.#identity.epochs[0]?.id ?? 0);
    this.#repeat(association);
  }

  abort(tag: Tag): void {
    for (const association of this.#associations.all()) {
      if (association.tag === tag && !association.up) this.#associations.drop(association);
    }
  }

  admit(assoc: Assoc, peer: PeerId): void {
    const association = this.#associations.get(assoc);
    if (association === undefined || association.up) return;
    if (!this.#peers.has(peer)) throw new Error(`admit to peer ${peer}, which was not set`);
    association.peer = peer;
    if (association.foreign) this.#up(association);
    else {
      this.#say(association, { kind: "ack", to: association.remote });
      if (association.acked) this.#up(association);
    }
  }

  refuse(assoc: Assoc, reason: Refusal): void {
    const association = this.#associations.get(assoc);
    if (association === undefined || association.up) return;
    if (!association.foreign) this.#say(association, { kind: "refuse", to: association.remote, reason });
    this.#associations.drop(association);
  }

  setPeer(peer: PeerId, prefixes: readonly string[]): void {
    const known = this.#peers.get(peer);
    if (known !== undefined) known.prefixes = prefixes;
    else {
      const counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0 };
      this.#peers.set(peer, { prefixes, lastHeard: 0, silent: false, counters });
    }
  }

  removePeer(peer: PeerId): void {
    this.#end(peer, 1);
    this.#peers.delete(peer);
  }

  closePeer(peer: PeerId): void {
    this.#end(peer, 0);
  }

  ping(): void {}

  sendControl(peer: PeerId, data: Uint8Array): void {
    const session = this.#peers.get(peer)?.session;
    if (session === undefined || session.foreign) return;
    this.#say(session, { kind: "control", to: session.remote, data });
  }

  /** The simulator has no ports to filter by. */
  setFilter(): void {}

  setIdentity(identity: EngineIdentity): void {
    this.#identity = identity;
  }

  peerCounters(peer: PeerId): PeerCounters | undefined {
    return this.#peers.get(peer)?.counters;
  }

  counters(): EngineCounters {
    return { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} };
  }

  unknownDestinations(): { address: string; packets: number }[] {
    return [];
  }

  /** Sends an inner packet; false when no session takes it. */
  sendInner(source: string, destination: string): boolean {
    for (const peer of this.#peers.values()) {
      if (!peer.prefixes.includes(`${destination}/32`) || peer.session === undefined) continue;
      peer.counters.txPackets += 1;
      this.#say(peer.session, { kind: "data", to: peer.session.remote, source, destination });
      return true;
    }
    return false;
  }

  #receive(from: Endpoint, payload: Uint8Array | Message): void {
    if (this.#stopped) return;
    if (payload instanceof Uint8Array) {
      if (payload.length > 1) this.#emit({ type: "datagram", from, data: payload });
      return;
    }
    if (payload.kind === "client-hello") {
      this.#onClientHello(from, payload);
      return;
    }
    const association = this.#associations.get(payload.to);
    if (association !== undefined) this.#onMessage(from, association, payload);
  }

  #onClientHello(from: Endpoint, message: ClientHello): void {
    const epoch = this.#identity.epochs.find((one) => pskOf(one) === message.psk);
    if (epoch === undefined) {
      const alert: Message = { kind: "alert", to: message.from };
      this.#socket.send(from, alert);
      this.#emit({ type: "wrong-psk", tag: 0, role: "server", endpoint: from });
      return;
    }
    const known = this.#associations.answering(from, message);
    const association = known ?? this.#make(0, "server", from, epoch.id);
    this.#associations.answer(association, from, message);
    const { id, foreign } = association;
    this.#say(association, { kind: "server-hello", from: id, to: message.from, foreign });
    if (known !== undefined) return;
    if (foreign) {
      this.#emit({ type: "foreign", assoc: id, tag: 0, role: "server", endpoint: from, epoch: epoch.id });
    } else this.#repeat(association);
  }

  #onMessage(
    from: Endpoint,
    association: Association,
    message: Exclude<Message, { kind: "client-hello" }>,
  ): void {
    const peer = association.peer === undefined ? undefined : this.#peers.get(association.peer);
    if (peer !== undefined && peer.session === association) this.#heard(association, peer);
    switch (message.kind) {
      case "server-hello":
        this.#onServerHello(association, message);
        return;
      case "alert":
        if (association.remote !== 0) return;
        this.#emit({ type: "wrong-psk", tag: association.tag, role: "client", endpoint: from });
        this.#fail(association, "wrong-psk");
        return;
      case "hello":
        if (association.heard) {
          if (association.peer !== undefined) this.#say(association, { kind: "ack", to: association.remote });
          return;
        }
        association.heard = true;
        this.#emit({
          type: "hello",
          assoc: association.id,
          tag: association.tag,
          role: association.role,
          endpoint: association.endpoint,
          nodeKey: message.nodeKey,
          record: message.record,
          capabilities: 0,
          epoch: association.epoch,
        });
        return;
      case "ack":
        association.acked = true;
        if (association.peer !== undefined && !association.up) this.#up(association);
        return;
      case "refuse":
        this.#fail(association, "refused", message.reason);
        return;
      case "close":
        this.#onClose(association, message.reason);
        return;
      case "ping":
        this.#probe(association, "pong");
        return;
      case "pong":
        return;
      case "control":
        if (association.peer === undefined || association.foreign) return;
        this.#emit({ type: "control", peer: association.peer, data: message.data });
        return;
      case "data":
        if (association.foreign && association.peer === undefined) {
          const { id, tag, role, endpoint, epoch } = association;
          this.#emit({ type: "foreign", assoc: id, tag, role, endpoint, epoch, innerSource: message.source });
          return;
        }
        if (!peer?.prefixes.includes(`${message.source}/32`)) return;
        peer.counters.rxPackets += 1;
        this.received.push(`${message.source}>${message.destination}`);
    }
  }

  #onServerHello(association: Association, message: Extract<Message, { kind: "server-hello" }>): void {
    if (association.remote !== 0) return;
    association.remote = message.from;
    association.foreign = message.foreign;
    const { id, tag, role, endpoint, epoch } = association;
    association.cancel();
    if (message.foreign) this.#emit({ type: "foreign", assoc: id, tag, role, endpoint, epoch });
    else this.#repeat(association);
  }

  #onClose(association: Association, reason: number): void {
    const peer = association.peer === undefined ? undefined : this.#peers.get(association.peer);
    this.#associations.drop(association);
    if (peer === undefined || peer.session !== association || association.peer === undefined) return;
    delete peer.session;
    this.#emit({ type: "closed", peer: association.peer, assoc: association.id, reason });
  }

  #up(association: Association): void {
    const { id, tag, role, endpoint, epoch, foreign, peer: peerId } = association;
    const peer = peerId === undefined ? undefined : this.#peers.get(peerId);
    if (peer === undefined || peerId === undefined) {
      this.#associations.drop(association);
      return;
    }
    association.up = true;
    association.cancel();
    const old = peer.session;
    peer.session = association;
    peer.lastHeard = this.#clock.now;
    peer.silent = false;
    // What is still on its way under the old keys is taken for a while.
    if (old !== undefined) this.#clock.after(drainMs, () => this.#associations.drop(old));
    const rekey = old !== undefined;
    const session = { peer: peerId, assoc: id, tag, role, endpoint, cipher: "sim", epoch, foreign, rekey };
    this.#emit({ type: "up", ...session });
  }

  #heard(association: Association, peer: SimPeer): void {
    peer.lastHeard = this.#clock.now;
    if (!peer.silent || association.peer === undefined) return;
    peer.silent = false;
    this.#emit({ type: "alive", peer: association.peer });
  }

  /** Says the current step's message again until something changes or it has taken too long. */
  #repeat(association: Association): void {
    association.cancel();
    if (association.up) return;
    if (this.#clock.now - association.began > handshakeMs) {
      this.#fail(association, association.remote === 0 ? "timeout" : "hello-timeout");
      return;
    }
    const epoch = this.#identity.epochs.find((one) => one.id === association.epoch);
    if (epoch === undefined) {
      this.#fail(association, "wrong-psk");
      return;
    }
    if (association.remote === 0) {
      const psk = pskOf(epoch);
      this.#say(association, { kind: "client-hello", from: association.id, psk, foreign: false });
    } else {
      const { record } = epoch;
      this.#say(association, { kind: "hello", to: association.remote, nodeKey: this.#nodeKey, record });
    }
    association.cancel = this.#clock.after(repeatMs, () => this.#repeat(association));
  }

  #fail(association: Association, reason: HandshakeFailure, refusal?: Refusal): void {
    if (association.up || this.#associations.get(association.id) === undefined) return;
    this.#associations.drop(association);
    const { id, tag, endpoint } = association;
    const event = { type: "failed", assoc: id, tag, endpoint, reason } as const;
    this.#emit(refusal === undefined ? event : { ...event, refusal });
  }

  #end(id: PeerId, reason: number | undefined): void {
    const peer = this.#peers.get(id);
    if (peer?.session === undefined) return;
    const { session } = peer;
    if (reason !== undefined) this.#say(session, { kind: "close", to: session.remote, reason });
    delete peer.session;
    this.#associations.drop(session);
  }

  #pingAll(): void {
    if (this.#stopped) return;
    for (const [id, peer] of this.#peers) {
      const { session } = peer;
      if (session === undefined || session.foreign) continue;
      this.#probe(session, "ping");
      if (!peer.silent && this.#clock.now - peer.lastHeard >= deadMs) {
        peer.silent = true;
        this.#emit({ type: "silent", peer: id });
      }
    }
    this.#clock.after(pingMs, () => this.#pingAll());
  }

  #make(tag: Tag, role: Role, endpoint: Endpoint, epoch: EpochId): Association {
    return this.#associations.make({ tag, role, endpoint, epoch, began: this.#clock.now });
  }

  #probe(association: Association, kind: "ping" | "pong"): void {
    const probe: Message = { kind, to: association.remote };
    if (this.cheapProbes) this.#socket.sendNow(association.endpoint, probe);
    else this.#say(association, probe);
  }

  #say(association: Association, message: Message): void {
    this.#socket.send(association.endpoint, message);
  }

  #emit(event: EngineEvent): void {
    if (!this.#stopped) this.onEvent(event);
  }
}

function pskOf(epoch: EngineEpoch): string {
  return hex(epoch.dtlsPsk);
}
