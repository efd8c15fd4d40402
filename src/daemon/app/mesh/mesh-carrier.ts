/** The mesh as a carrier: the pure core wired to an engine, names, time and what is kept on disk. */
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { AnnouncedPeer, Carrier, CarrierEvent, CarrierView, LiveSettings } from "../../core/carrier.js";
import type { EngineEvent, EngineIdentity, MeshEngine, PeerCounters, PeerId } from "../../core/engine.js";
import type { EngineFilter } from "../../core/filter/engine-filter.js";
import { signingKey } from "../../core/keys/ed25519.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import { inSubnet, type Subnet } from "../../core/mesh/address.js";
import { badgerCodec } from "../../core/mesh/badger-codec.js";
import { commandEngine } from "../../core/mesh/engine-effects.js";
import { MeshCore } from "../../core/mesh/mesh-core.js";
import { readOwnEndpoints } from "../../core/mesh/own-endpoints.js";
import { readPins } from "../../core/mesh/pins.js";
import type { MeshEffect, MeshInput } from "../../core/mesh/types.js";
import type { Announcement } from "../../core/routes/announcement.js";
import { Readiness } from "../readiness.js";
import { MeshIdentity } from "./mesh-identity.js";
import { ciphers, emptyView, peerView, withIgnored } from "./mesh-view.js";
import { Probes } from "./probes.js";
import { realWorld, type World } from "./world.js";

const recordTtlSeconds = 3600;
/** How often interfaces and foreign peers' counters are looked at. */
const pollMs = 5000;
const shortestTimerMs = 5;
const longestTimerMs = 60_000;

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

export class MeshCarrier implements Carrier {
  onChange: () => void = () => {};
  onEvent: (event: CarrierEvent) => void = () => {};
  readonly #options: MeshCarrierOptions;
  readonly #world: World;
  readonly #log: Logger;
  readonly #readiness = new Readiness();
  readonly #probes = new Probes();
  #psks: readonly PskEpoch[];
  #identity: MeshIdentity | undefined;
  #filter: EngineFilter | undefined;
  #engine: MeshEngine | undefined;
  #core: MeshCore | undefined;
  #timer: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #inputs: MeshInput[] = [];
  #busy = false;
  #stopping: Promise<void> | undefined;
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
    const sequence = BigInt(at.wall);
    const draft = { virtualIps: [address], name: nodeName, sequence, ttlSeconds: recordTtlSeconds };
    const identity = new MeshIdentity({ badger, nodeSeed }, draft, this.#world.randomBytes);
    this.#identity = identity;
    const engine = this.#options.engine(identity.forEngine(this.#psks));
    this.#engine = engine;
    this.#core = new MeshCore(
      {
        badger,
        virtualIp: address,
        prefixLength: length,
        nodeKey: signingKey(nodeSeed).publicKey,
        epochs: identity.epochs(this.#psks),
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
    if (this.#filter !== undefined) engine.setFilter(this.#filter);
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
    return this.#readiness.wait(signal);
  }

  responds(): boolean {
    return this.#engine?.responds?.() ?? true;
  }

  view(): CarrierView {
    const engine = this.#engine;
    const core = this.#core;
    if (engine === undefined || core === undefined) return emptyView();
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
    if (this.#engine === undefined || this.#identity === undefined || this.#stopping !== undefined) return;
    this.#engine.setIdentity(this.#identity.forEngine(psks));
    this.#feed({ type: "epochs", epochs: this.#identity.epochs(psks) });
  }

  async reconfigure({ iex }: LiveSettings): Promise<void> {
    this.#feed({ type: "servers", servers: iex });
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

  setFilter(filter: EngineFilter): void {
    this.#filter = filter;
    if (this.#stopping === undefined) this.#engine?.setFilter(filter);
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
    const engine = this.#engine;
    return await this.#probes.probe(virtualIp, timeoutSeconds, (token) => {
      if (peer.up) engine.ping(peer.id, token);
    });
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
    this.#inputs = [];
    this.#readiness.stop(new VpnError("cancelled", "the network was stopped"));
    if (this.#core !== undefined) {
      this.#keep();
      for (const event of this.#core.end()) this.onEvent(event);
    }
    await this.#engine?.stop();
  }

  #onEngineEvent(event: EngineEvent): void {
    const result = handshakeResult(event);
    if (result !== undefined) this.#handshakes[result] = (this.#handshakes[result] ?? 0) + 1;
    if (event.type === "pong") this.#probes.answered(event.token, event.rttSeconds);
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
        this.#readiness.ready();
        break;
      case "conflict":
        this.#readiness.failed(effect.error);
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

/** What `handshakes` counts the event as; undefined: it ends no handshake. */
function handshakeResult(event: EngineEvent): string | undefined {
  if (event.type === "up") return event.rekey ? "rekey" : "ok";
  return event.type === "failed" ? event.reason : undefined;
}

function splitCidr(cidr: string): Subnet {
  const [address = "", length = ""] = cidr.split("/");
  return { address, length: Number(length) };
}
