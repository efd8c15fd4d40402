/** The mesh as a carrier: the pure core wired to an engine, names, time and what is kept on disk. */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { VpnError } from "../../common/errors.js";
import type { AnnouncedPeer, Carrier, CarrierEvent, CarrierView, PeerView } from "../core/carrier.js";
import type {
  Endpoint,
  EngineCounters,
  EngineEvent,
  EngineIdentity,
  MeshEngine,
  PeerCounters,
  PeerId,
} from "../core/engine.js";
import { signingKey } from "../core/keys/ed25519.js";
import { buildNodeRecord, type RecordDraft } from "../core/keys/node-record.js";
import type { PskEpoch } from "../core/keys/psk-ring.js";
import { type NetworkKeys, networkKeys } from "../core/keys/schedule.js";
import { inSubnet, type Subnet } from "../core/mesh/address.js";
import { badgerCodec } from "../core/mesh/badger-codec.js";
import { commandEngine } from "../core/mesh/engine-effects.js";
import { type CorePeerView, MeshCore } from "../core/mesh/mesh-core.js";
import { readOwnEndpoints } from "../core/mesh/own-endpoints.js";
import { readPins } from "../core/mesh/pins.js";
import type { MeshEffect, MeshEpoch, MeshInput, Moment } from "../core/mesh/types.js";
import type { Announcement } from "../core/routes/announcement.js";
import { hostSubnets } from "../io/host-subnets.js";
import { resolveServer } from "../io/server-names.js";

const recordTtlSeconds = 3600;
/** How often interfaces and foreign peers' counters are looked at. */
const pollMs = 5000;
const shortestTimerMs = 5;
const longestTimerMs = 60_000;
const ciphers = ["AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"];

/** What a mesh learns and keeps; opaque to whoever stores it as JSON. */
export type Learned = Record<string, unknown>;

export interface MeshCarrierOptions {
  /** Label, for logs. */
  network: string;
  /** Own address in CIDR notation, "10.0.0.10/16", canonical. */
  virtualIp: string;
  /** "HOST:PORT" of each rendezvous server. */
  iex: readonly string[];
  /** Accepted PSKs, the preferred one first. */
  psks: readonly PskEpoch[];
  badger: boolean;
  /** Ed25519 seed, 32 bytes. */
  nodeSeed: Uint8Array;
  nodeName: string;
  /** Makes the engine on the network's device and sockets; called once, in `start`. */
  engine: (identity: EngineIdentity) => MeshEngine;
  /** As `onLearned` last gave it; anything that makes no sense in it is ignored. */
  learned?: Learned;
  /** Called with all that is to be kept, at each change. */
  onLearned: (learned: Learned) => void;
  log: Logger;
  /** Outside world; each has a real default. */
  world?: Partial<World>;
}

export interface World {
  /** Never rejects. */
  resolve(server: string): Promise<Endpoint[]>;
  subnets(): Subnet[];
  moment(): Moment;
  random(): number;
  randomBytes(size: number): Uint8Array;
}

const realWorld: World = {
  resolve: resolveServer,
  subnets: hostSubnets,
  moment: () => ({ now: performance.now(), wall: Date.now() }),
  random: Math.random,
  randomBytes: (size) => new Uint8Array(randomBytes(size)),
};

type Outcome = { kind: "pending" } | { kind: "ready" } | { kind: "conflict"; error: VpnError };

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

export class MeshCarrier implements Carrier {
  onChange: () => void = () => {};
  onEvent: (event: CarrierEvent) => void = () => {};
  readonly #options: MeshCarrierOptions;
  readonly #world: World;
  readonly #log: Logger;
  readonly #keys = new Map<number, NetworkKeys>();
  #psks: readonly PskEpoch[];
  /** What this node's records say; one is made for each PSK. */
  #draft: RecordDraft | undefined;
  #engine: MeshEngine | undefined;
  #core: MeshCore | undefined;
  #timer: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #inputs: MeshInput[] = [];
  #busy = false;
  #stopping: Promise<void> | undefined;
  #outcome: Outcome = { kind: "pending" };
  readonly #waiters = new Set<Waiter>();
  readonly #pings = new Map<bigint, (rttSeconds: number) => void>();
  #lastToken = 0n;
  readonly #handshakes: Record<string, number> = {};

  constructor(options: MeshCarrierOptions) {
    this.#options = options;
    this.#psks = options.psks;
    this.#world = { ...realWorld, ...options.world };
    this.#log = options.log.child({ network: options.network });
  }

  async start(): Promise<void> {
    if (this.#engine !== undefined || this.#stopping !== undefined) return;
    const { badger, nodeSeed, nodeName, iex, learned } = this.#options;
    const { address, length } = splitCidr(this.#options.virtualIp);
    const at = this.#world.moment();
    // Wall time only has to grow from one start to the next.
    this.#draft = {
      virtualIps: [address],
      name: nodeName,
      sequence: BigInt(at.wall),
      ttlSeconds: recordTtlSeconds,
    };
    const engine = this.#options.engine(this.#identity(this.#draft));
    this.#engine = engine;
    this.#core = new MeshCore(
      {
        badger,
        virtualIp: address,
        prefixLength: length,
        nodeKey: signingKey(nodeSeed).publicKey,
        epochs: this.#epochs(),
        servers: iex,
        port: engine.port,
        pins: readPins(learned?.pins),
        ownEndpoints: readOwnEndpoints(learned?.ownEndpoints),
      },
      badgerCodec,
      this.#world.random,
      at,
    );
    engine.onEvent = (event) => this.#onEngineEvent(event);
    engine.start();
    this.#look();
    this.#poll = setInterval(() => this.#look(), pollMs);
    this.#feed({ type: "start" });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  ready(signal: AbortSignal): Promise<void> {
    if (this.#outcome.kind === "ready") return Promise.resolve();
    if (this.#outcome.kind === "conflict") return Promise.reject(this.#outcome.error);
    if (this.#stopping !== undefined) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      const onAbort = () => waiter.reject(signal.reason);
      const done = () => {
        this.#waiters.delete(waiter);
        signal.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        resolve: () => {
          done();
          resolve();
        },
        reject: (error) => {
          done();
          reject(VpnError.from(error, "cancelled"));
        },
      };
      if (signal.aborted) {
        waiter.reject(signal.reason);
        return;
      }
      this.#waiters.add(waiter);
      signal.addEventListener("abort", onAbort);
    });
  }

  responds(): boolean {
    return this.#engine?.responds?.() ?? true;
  }

  view(): CarrierView {
    const engine = this.#engine;
    const core = this.#core;
    if (engine === undefined || core === undefined) {
      const counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} };
      return {
        state: "connecting",
        servers: [],
        peers: [],
        counters,
        unknownDestinations: [],
        ciphers,
        notes: [],
      };
    }
    const { peers, ...rest } = core.view(this.#world.moment());
    const features = engine.features?.();
    return {
      ...rest,
      ...(features === undefined ? {} : { features }),
      peers: peers.map((peer) => peerView(peer, engine.peerCounters(peer.id))),
      counters: withIgnored(engine.counters(), core.ignored),
      handshakes: { ...this.#handshakes },
      unknownDestinations: engine.unknownDestinations(),
      ciphers,
    };
  }

  async forgetPeer(virtualIp: string): Promise<boolean> {
    if (this.#core === undefined || this.#stopping !== undefined) return false;
    const { effects, hadPin } = this.#core.forget(virtualIp, this.#world.moment());
    this.#perform(effects);
    this.#drain();
    return hadPin;
  }

  setPsks(psks: readonly PskEpoch[]): void {
    this.#psks = psks;
    if (this.#engine === undefined || this.#draft === undefined || this.#stopping !== undefined) return;
    this.#engine.setIdentity(this.#identity(this.#draft));
    this.#feed({ type: "epochs", epochs: this.#epochs() });
  }

  announce(what: Announcement): void {
    this.#feed({ type: "announce", what });
  }

  announcements(): AnnouncedPeer[] {
    return this.#core?.announced().map(({ peer, what }) => ({ ...peer, what })) ?? [];
  }

  setRoutes(routes: ReadonlyMap<string, readonly string[]>): void {
    this.#feed({ type: "routes", routes });
  }

  async ping(virtualIp: string, timeoutSeconds: number): Promise<number> {
    const peer = this.#core?.peerAt(virtualIp);
    if (peer === undefined || this.#engine === undefined || this.#stopping !== undefined) {
      throw new VpnError("not-found", `no peer has the virtual IP ${virtualIp}`, {
        hint: "see: vpnctl peers",
      });
    }
    if (peer.foreign) {
      const hint = `measure with packets instead: ping ${virtualIp}`;
      throw new VpnError("failed", `${virtualIp} is not vpnd and answers no probes`, { hint });
    }
    this.#lastToken += 1n;
    const token = this.#lastToken;
    const engine = this.#engine;
    return await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pings.delete(token);
        reject(
          new VpnError("no-reply", `no answer from ${virtualIp} within ${timeoutSeconds} s`, {
            hint: `see: vpnctl peer ${virtualIp}`,
          }),
        );
      }, timeoutSeconds * 1000);
      this.#pings.set(token, (rttSeconds) => {
        clearTimeout(timer);
        this.#pings.delete(token);
        resolve(rttSeconds);
      });
      if (peer.up) engine.ping(peer.id, token);
    });
  }

  #epochs(): MeshEpoch[] {
    return this.#psks.map((psk) => ({ id: psk.id, keys: this.#keysOf(psk) }));
  }

  #identity(draft: RecordDraft): EngineIdentity {
    const { badger, nodeSeed } = this.#options;
    const node = signingKey(nodeSeed);
    const epochs = this.#psks.map((psk) => {
      const keys = this.#keysOf(psk);
      const record = buildNodeRecord(draft, node, keys, this.#world.randomBytes(12));
      return { id: psk.id, ...keys.epoch, networkId: keys.networkId, record };
    });
    return { badger, nodeSeed, epochs };
  }

  #keysOf({ id, psk }: PskEpoch): NetworkKeys {
    const keys = this.#keys.get(id) ?? networkKeys(psk, this.#options.badger);
    this.#keys.set(id, keys);
    return keys;
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
    this.#inputs = [];
    for (const waiter of [...this.#waiters]) waiter.reject(stopped());
    if (this.#core !== undefined) {
      this.#keep();
      for (const event of this.#core.end()) this.onEvent(event);
    }
    await this.#engine?.stop();
  }

  #onEngineEvent(event: EngineEvent): void {
    const result = handshakeResult(event);
    if (result !== undefined) this.#handshakes[result] = (this.#handshakes[result] ?? 0) + 1;
    if (event.type === "pong") this.#pings.get(event.token)?.(event.rttSeconds);
    else this.#feed({ type: "engine", event });
  }

  /** Inputs are handled one after the other, also when an effect causes the next one at once. */
  #feed(input: MeshInput): void {
    if (this.#stopping !== undefined) return;
    this.#inputs.push(input);
    this.#drain();
  }

  #drain(): void {
    if (this.#busy || this.#core === undefined) return;
    this.#busy = true;
    try {
      for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
        this.#perform(this.#core.handle(input, this.#world.moment()));
      }
    } finally {
      this.#busy = false;
    }
    this.#schedule(this.#core.wakeAt());
  }

  #schedule(at: number): void {
    clearTimeout(this.#timer);
    if (this.#stopping !== undefined) return;
    const delay = Math.min(longestTimerMs, Math.max(shortestTimerMs, at - this.#world.moment().now));
    this.#timer = setTimeout(() => this.#feed({ type: "tick" }), delay);
  }

  #perform(effects: readonly MeshEffect[]): void {
    let changed = false;
    let learned = false;
    for (const effect of effects) {
      changed ||= effect.type === "changed";
      learned ||= effect.type === "persist-pins" || effect.type === "persist-own-endpoints";
      this.#do(effect);
    }
    if (learned) this.#keep();
    if (changed) this.onChange();
  }

  #do(effect: MeshEffect): void {
    const engine = this.#engine;
    if (engine === undefined || commandEngine(engine, effect)) return;
    switch (effect.type) {
      case "resolve":
        void this.#resolve(effect.server);
        break;
      case "ready":
        this.#settle({ kind: "ready" });
        break;
      case "conflict":
        this.#settle({ kind: "conflict", error: effect.error });
        break;
      case "log":
        this.#log[effect.level](effect.fields, effect.message);
        break;
      case "event":
        this.onEvent(effect.event);
        break;
      case "changed":
      case "persist-pins":
      case "persist-own-endpoints":
        break;
    }
  }

  async #resolve(server: string): Promise<void> {
    const endpoints = await this.#world.resolve(server);
    this.#feed({ type: "resolved", server, endpoints });
  }

  #settle(outcome: Outcome): void {
    this.#outcome = outcome;
    for (const waiter of [...this.#waiters]) {
      if (outcome.kind === "conflict") waiter.reject(outcome.error);
      else waiter.resolve();
    }
  }

  #keep(): void {
    if (this.#core === undefined) return;
    this.#options.onLearned({ pins: this.#core.pins(), ownEndpoints: this.#core.ownEndpoints() });
  }

  /** What changes without an event: interfaces, and the counters of peers that answer no probes. */
  #look(): void {
    const engine = this.#engine;
    if (engine === undefined || this.#core === undefined) return;
    const own = splitCidr(this.#options.virtualIp);
    const subnets = this.#world.subnets().filter((subnet) => !inSubnet(subnet.address, own));
    this.#feed({ type: "interfaces", subnets });
    const peers = new Map<PeerId, PeerCounters>();
    for (const id of this.#core.foreignPeers()) {
      const counters = engine.peerCounters(id);
      if (counters !== undefined) peers.set(id, counters);
    }
    if (peers.size > 0) this.#feed({ type: "counters", peers });
  }
}

function peerView({ id: _, ...peer }: CorePeerView, counters: PeerCounters | undefined): PeerView {
  const { rxBytes = 0, txBytes = 0, rxPackets = 0, txPackets = 0 } = counters ?? {};
  const view: PeerView = { ...peer, rxBytes, txBytes, rxPackets, txPackets };
  if (counters?.rttSeconds !== undefined && peer.state === "up") view.rttSeconds = counters.rttSeconds;
  if (counters?.mtu !== undefined && peer.state === "up") view.mtu = counters.mtu;
  return view;
}

/** What `handshakes` counts the event as; undefined: it ends no handshake. */
function handshakeResult(event: EngineEvent): string | undefined {
  if (event.type === "up") return event.rekey ? "rekey" : "ok";
  return event.type === "failed" ? event.reason : undefined;
}

function splitCidr(cidr: string): Subnet {
  const [address = "", length = ""] = cidr.split("/");
  return { address, length: Number(length) };
}

function stopped(): VpnError {
  return new VpnError("cancelled", "the network was stopped");
}

/** Datagrams that the engine handed on and the mesh had no use for are drops like the engine's own. */
function withIgnored(counters: EngineCounters, ignored: number): EngineCounters {
  return ignored === 0 ? counters : { ...counters, drops: { ...counters.drops, "not-a-map": ignored } };
}
