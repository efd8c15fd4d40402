/** A simulated vpnd node: the real mesh core on a simulated engine and host. */
import type { Endpoint, EngineEvent, EngineIdentity } from "../../src/daemon/core/engine.js";
import { signingKey } from "../../src/daemon/core/keys/ed25519.js";
import { buildNodeRecord, type RecordDraft } from "../../src/daemon/core/keys/node-record.js";
import { type NetworkKeys, networkKeys } from "../../src/daemon/core/keys/schedule.js";
import { badgerCodec } from "../../src/daemon/core/mesh/badger-codec.js";
import { commandEngine } from "../../src/daemon/core/mesh/engine-effects.js";
import { type CorePeerView, type CoreView, MeshCore } from "../../src/daemon/core/mesh/mesh-core.js";
import type { OwnEndpoint } from "../../src/daemon/core/mesh/own-endpoints.js";
import type { Pin } from "../../src/daemon/core/mesh/pins.js";
import type { MeshEffect, MeshInput } from "../../src/daemon/core/mesh/types.js";
import type { Announcement } from "../../src/daemon/core/routes/announcement.js";
import type { Clock } from "./clock.js";
import type { Nat, Network } from "./network.js";
import { SimEngine } from "./sim-engine.js";

export interface NodeOptions {
  name: string;
  virtualIp: string;
  /** Address of the host, inside its NAT. */
  host: string;
  port?: number;
  nat?: Nat | undefined;
  psk?: string;
  badger?: boolean;
  servers: readonly Endpoint[];
  /** Chooses the node key; default: the name. */
  key?: string;
  /** For hours of many nodes: see SimEngine, and `effects` is not kept. */
  long?: boolean;
}

interface SimEpoch {
  id: number;
  psk: string;
  keys: NetworkKeys;
}

export class SimNode {
  readonly options: NodeOptions;
  /** What survives a restart. */
  pins: readonly Pin[] = [];
  ownEndpoints: readonly OwnEndpoint[] = [];
  /** Everything the core asked for, newest last. */
  readonly effects: MeshEffect[] = [];
  /** Sees every effect. */
  onEffect: (effect: MeshEffect) => void = () => {};
  /** How often the core asked to be woken, and what it asked for. */
  readonly work = { ticks: 0, effects: 0 };
  ready = false;
  conflict: string | undefined;
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #random: () => number;
  #core: MeshCore | undefined;
  #nodeSeed: Uint8Array = new Uint8Array(32);
  #draft: RecordDraft | undefined;
  #epochs: SimEpoch[] = [];
  #lastEpoch = 0;
  #engine: SimEngine | undefined;
  #queue: MeshInput[] = [];
  #busy = false;
  #cancels: (() => void)[] = [];
  #cancelTick: () => void = () => {};

  constructor(clock: Clock, network: Network, random: () => number, options: NodeOptions) {
    this.#clock = clock;
    this.#network = network;
    this.#random = random;
    this.options = options;
  }

  start(): this {
    const {
      name,
      virtualIp,
      host,
      port = 4400,
      nat,
      psk = "psk",
      badger = false,
      servers,
      key,
    } = this.options;
    const nodeSeed = bytes32(key ?? name);
    const node = signingKey(nodeSeed);
    const at = this.#clock.moment();
    const draft = { virtualIps: [virtualIp], name, sequence: BigInt(at.wall), ttlSeconds: 3600 };
    this.#nodeSeed = nodeSeed;
    this.#draft = draft;
    this.#epochs = this.#epochsOf([psk]);
    const identity = this.#identity();
    this.ready = false;
    this.conflict = undefined;
    const engine = new SimEngine(this.#clock, identity, this.#random, (receive) =>
      this.#network.bind(host, port, nat, (from, payload) => {
        // Only engines and servers send, so that an object is a message of an engine.
        receive(from, payload as Parameters<typeof receive>[1]);
      }),
    );
    const config = {
      badger,
      virtualIp,
      prefixLength: 16,
      nodeKey: node.publicKey,
      epochs: this.#epochs,
      servers,
      port,
      pins: this.pins,
      ownEndpoints: this.ownEndpoints,
    };
    engine.cheapProbes = this.options.long ?? false;
    this.#engine = engine;
    this.#core = new MeshCore(config, badgerCodec, this.#random, at);
    engine.onEvent = (event: EngineEvent) => this.#feed({ type: "engine", event });
    engine.start();
    this.#feed({ type: "interfaces", subnets: [{ address: host, length: 24 }] });
    this.#feed({ type: "start" });
    this.#poll();
    return this;
  }

  /** Accepts these PSKs from now on, the preferred one first; until the next start. */
  setPsks(psks: readonly string[]): void {
    this.#epochs = this.#epochsOf(psks);
    this.#engine?.setIdentity(this.#identity());
    this.#feed({ type: "epochs", epochs: this.#epochs });
  }

  #epochsOf(psks: readonly string[]): SimEpoch[] {
    const { badger = false } = this.options;
    return psks.map((psk) => {
      const known = this.#epochs.find((one) => one.psk === psk);
      if (known === undefined) this.#lastEpoch += 1;
      return known ?? { id: this.#lastEpoch, psk, keys: networkKeys(bytes32(psk), badger) };
    });
  }

  #identity(): EngineIdentity {
    const draft = this.#draft;
    if (draft === undefined) throw new Error("the node was never started");
    const node = signingKey(this.#nodeSeed);
    const epochs = this.#epochs.map(({ id, keys }) => {
      const record = buildNodeRecord(draft, node, keys, new Uint8Array(12));
      return { id, ...keys.epoch, networkId: keys.networkId, record };
    });
    return { badger: this.options.badger ?? false, nodeSeed: this.#nodeSeed, epochs };
  }

  /** @param polite false: as after kill -9 */
  stop(polite = true): void {
    this.#engine?.halt(polite);
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
    this.#cancelTick();
    this.#core = undefined;
    this.#queue = [];
  }

  get running(): boolean {
    return this.#core !== undefined;
  }

  forget(virtualIp: string): boolean {
    const answer = this.#core?.forget(virtualIp, this.#clock.moment());
    this.#perform(answer?.effects ?? []);
    this.#feed({ type: "tick" });
    return answer?.hadPin ?? false;
  }

  announce(what: Announcement): void {
    this.#feed({ type: "announce", what });
  }

  /** What the node with this address announced. */
  announcedBy(virtualIp: string): Announcement | undefined {
    return this.#core?.announced().find((one) => one.peer.virtualIp === virtualIp)?.what;
  }

  /** Prefixes that peers carry, by virtual IP. */
  setRoutes(routes: Readonly<Record<string, readonly string[]>>): void {
    const byKey = Object.entries(routes).flatMap(([virtualIp, prefixes]) => {
      const key = this.peer(virtualIp)?.nodeKey;
      return key === undefined ? [] : [[key, prefixes] as const];
    });
    this.#feed({ type: "routes", routes: new Map(byKey) });
  }

  view(): CoreView {
    if (this.#core === undefined) throw new Error("the node is stopped");
    return this.#core.view(this.#clock.moment());
  }

  peer(virtualIp: string): CorePeerView | undefined {
    return this.view().peers.find((peer) => peer.virtualIp === virtualIp);
  }

  isUp(virtualIp: string): boolean {
    return this.peer(virtualIp)?.state === "up";
  }

  /** Sessions and handshakes of the engine. */
  get associations(): number {
    return this.#engine?.associations ?? 0;
  }

  /** Sends one inner packet; false when there is no session. */
  sendTo(virtualIp: string, source = this.options.virtualIp): boolean {
    return this.#engine?.sendInner(source, virtualIp) ?? false;
  }

  heard(from: string): number {
    const packet = `${from}>${this.options.virtualIp}`;
    return this.#engine?.received.filter((one) => one === packet).length ?? 0;
  }

  connects(): number {
    return this.effects.filter((effect) => effect.type === "connect").length;
  }

  #poll(): void {
    this.#cancels = [
      this.#clock.after(5000, () => {
        const counters = new Map();
        for (const id of this.#core?.foreignPeers() ?? [])
          counters.set(id, { ...this.#engine?.peerCounters(id) });
        if (counters.size > 0) this.#feed({ type: "counters", peers: counters });
        this.#poll();
      }),
    ];
  }

  #feed(input: MeshInput): void {
    this.#queue.push(input);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#perform(this.#core?.handle(next, this.#clock.moment()) ?? []);
    }
    this.#busy = false;
    this.#cancelTick();
    if (this.#core === undefined) return;
    const delay = Math.max(5, this.#core.wakeAt() - this.#clock.now);
    if (!Number.isFinite(delay)) return;
    this.#cancelTick = this.#clock.after(delay, () => {
      this.work.ticks += 1;
      this.#feed({ type: "tick" });
    });
  }

  #perform(effects: readonly MeshEffect[]): void {
    const engine = this.#engine;
    if (engine === undefined) return;
    for (const effect of effects) {
      this.work.effects += 1;
      if (this.options.long !== true) this.effects.push(effect);
      this.onEffect(effect);
      if (commandEngine(engine, effect)) continue;
      switch (effect.type) {
        case "resolve":
          this.#clock.after(1, () => {
            this.#feed({ type: "resolved", server: effect.server, endpoints: [effect.server] });
          });
          break;
        case "persist-pins":
          this.pins = effect.pins;
          break;
        case "persist-own-endpoints":
          this.ownEndpoints = effect.endpoints;
          break;
        case "ready":
          this.ready = true;
          break;
        case "conflict":
          this.conflict = effect.error.message;
          break;
        case "changed":
        case "log":
          break;
      }
    }
  }
}

function bytes32(text: string): Uint8Array {
  const bytes = new Uint8Array(32);
  bytes.set(new TextEncoder().encode(text.slice(0, 32)));
  return bytes;
}
