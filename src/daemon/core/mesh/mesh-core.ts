/**
 * The mesh carrier's mind: inputs (engine events, maps, time) in, effects (engine commands, things to keep) out. It does no
 * I/O and has neither clock nor randomness of its own; test/sim drives many of them in one process.
 */
import type { CarrierEvent, CarrierView, PeerView, Reason, ServerView } from "../carrier.js";
import type { Endpoint, EngineEvent, PeerId, Tag } from "../engine.js";
import { Flaps } from "../events/flaps.js";
import { lostTexts, NetworkStory } from "../events/network-story.js";
import { Repeats } from "../events/repeats.js";
import type { Announcement } from "../routes/announcement.js";
import { isHostAddress, type Subnet } from "./address.js";
import { Announcements } from "./announcements.js";
import { OwnAddress } from "./own-address.js";
import { OwnEndpoints } from "./own-endpoints.js";
import { endpointsOf, type Peer, reasonOf, stateOf, virtualIpOf } from "./peer.js";
import { goneEvent, PeerTeller } from "./peer-teller.js";
import { Peers } from "./peers.js";
import { type Pin, Pins } from "./pins.js";
import { Servers } from "./servers.js";
import type { Context, MapCodec, MapEntry, MeshConfig, MeshEffect, MeshInput, Moment } from "./types.js";

type Listing = ReadonlyMap<string, readonly MapEntry[]>;

/** What the core knows of a peer; the engine knows the rest. */
export type CorePeerView = Omit<PeerView, "rxBytes" | "txBytes" | "rxPackets" | "txPackets"> & { id: PeerId };

/** Who announced something. */
export interface AnnouncingPeer {
  virtualIp: string;
  nodeKey: string;
  name?: string;
  /** It has a living session. */
  up: boolean;
}

export interface CoreView {
  state: CarrierView["state"];
  reason?: Reason;
  publicEndpoint?: Endpoint;
  servers: ServerView[];
  peers: CorePeerView[];
  notes: string[];
  pathChanges: number;
}

export class MeshCore implements Context {
  config: MeshConfig;
  at: Moment;
  readonly #random: () => number;
  readonly #servers: Servers;
  readonly #own = new OwnAddress();
  readonly #ownEndpoints: OwnEndpoints;
  readonly #pins: Pins;
  readonly #peers: Peers;
  readonly #announcements: Announcements;
  #subnets: readonly Subnet[] = [];
  #publicEndpoint: Endpoint | undefined;
  /** What the peers are told of `all`; making it anew with each map would be most of the work of a large mesh at rest. */
  #others: { all: Listing; without: Endpoint | undefined; listing: Listing } | undefined;
  #effects: MeshEffect[] = [];
  #ignored = 0;
  #lastTag = 0;
  #shownState: CarrierView["state"] = "connecting";
  readonly #story = new NetworkStory(lostTexts.mesh);
  readonly #repeats = new Repeats();
  readonly #flaps = new Flaps();
  readonly #teller = new PeerTeller();

  /** @param random gives 0 <= x < 1 */
  constructor(config: MeshConfig, codec: MapCodec, random: () => number, at: Moment) {
    this.config = config;
    this.at = at;
    this.#random = random;
    this.#servers = new Servers(config.servers, codec);
    this.#ownEndpoints = new OwnEndpoints(config.ownEndpoints, at.now);
    this.#pins = new Pins(config.pins);
    this.#peers = new Peers(this.#pins, this.#own, this);
    this.#announcements = new Announcements(this.#peers.table, at.wall);
  }

  /** Handles one input; afterwards `wakeAt` says when the next tick is due. */
  handle(input: MeshInput, at: Moment): MeshEffect[] {
    this.at = at;
    this.#effects = [];
    this.#take(input);
    this.#step();
    return this.#effects;
  }

  /** When to come with a `tick` at the latest, monotonic milliseconds. */
  wakeAt(): number {
    const own = Math.min(this.#own.wakeAt(), this.#repeats.wakeAt(), this.#flaps.wakeAt());
    if (this.#own.taken) return own;
    const peers = Math.min(this.#peers.wakeAt(), this.#announcements.wakeAt());
    return Math.min(own, this.#servers.wakeAt(this.at.now), peers);
  }

  /** Forgets the pin and the peer of an address; it may come back with another key. */
  forget(virtualIp: string, at: Moment): { effects: MeshEffect[]; hadPin: boolean } {
    this.at = at;
    this.#effects = [];
    const hadPin = this.#pins.forget(virtualIp);
    if (hadPin) this.emit({ type: "persist-pins", pins: this.#pins.list(at.wall) });
    this.#peers.forget(virtualIp);
    this.#relist();
    this.#step();
    return { effects: this.#effects, hadPin };
  }

  /** The peer that has the address now. */
  peerAt(virtualIp: string): { id: PeerId; up: boolean; foreign: boolean } | undefined {
    const peer = this.#peers.table.byAddress(virtualIp);
    if (peer === undefined) return undefined;
    const { session } = peer;
    return { id: peer.id, up: session.kind !== "none", foreign: session.kind !== "none" && session.foreign };
  }

  /** What vpnd peers announced. */
  announced(): { peer: AnnouncingPeer; what: Announcement }[] {
    return [...this.#peers.table.all()].flatMap((peer) => {
      const what = this.#announcements.of(peer);
      if (what === undefined || peer.nodeKey === undefined) return [];
      const { nodeKey, name, session } = peer;
      const up = session.kind === "live";
      const virtualIp = virtualIpOf(peer);
      return [{ peer: { virtualIp, nodeKey, up, ...(name !== undefined && { name }) }, what }];
    });
  }

  /** Foreign peers with a session: their counters are wanted as input. */
  foreignPeers(): PeerId[] {
    return [...this.#peers.table.all()]
      .filter((peer) => peer.session.kind !== "none" && peer.session.foreign)
      .map((peer) => peer.id);
  }

  /** The events of the network's end. */
  end(): CarrierEvent[] {
    const reason = { code: "network-down", message: "the network was stopped" };
    const gone = [...this.#peers.table.all()].flatMap((peer) => goneEvent(peer, reason) ?? []);
    return [...this.#flaps.rest(), ...gone];
  }

  pins(): Pin[] {
    return this.#pins.list(this.at.wall);
  }

  ownEndpoints(): OwnEndpointList {
    return this.#ownEndpoints.list();
  }

  /** Datagrams so far that were no map of a server of ours. */
  get ignored(): number {
    return this.#ignored;
  }

  view(at: Moment): CoreView {
    const { error, note } = this.#own;
    const view: CoreView = {
      state: this.#state(at.now),
      servers: this.#servers.view(at.now),
      peers: [...this.#peers.table.all()].map((peer) => this.#peerView(peer, at)),
      notes: note === undefined ? [] : [note],
      pathChanges: this.#teller.pathChanges,
    };
    if (this.#publicEndpoint !== undefined) view.publicEndpoint = this.#publicEndpoint;
    if (view.state === "error" && error !== undefined) {
      view.reason = { code: "conflict", message: error.message };
    } else if (view.state === "connecting") {
      view.reason = this.#waitingFor(view.servers);
    }
    return view;
  }

  emit(effect: MeshEffect): void {
    this.#effects.push(effect);
  }

  tell(event: CarrierEvent): void {
    const told = this.#flaps.take(event, this.at.now);
    if (told !== undefined) this.emit({ type: "event", event: told });
  }

  report(event: CarrierEvent): void {
    const told = this.#repeats.take(event, this.at.now);
    if (told !== undefined) this.emit({ type: "event", event: told });
  }

  random(): number {
    return this.#random();
  }

  newTag(): Tag {
    this.#lastTag += 1;
    return this.#lastTag;
  }

  #take(input: MeshInput): void {
    switch (input.type) {
      case "start":
      case "tick":
        return;
      case "epochs":
        this.config = { ...this.config, epochs: input.epochs };
        this.#peers.onEpochs();
        return;
      case "servers":
        this.config = { ...this.config, servers: input.servers };
        this.#servers.set(input.servers);
        this.emit({ type: "changed" });
        return;
      case "resolved":
        this.#servers.resolved(input.server, input.endpoints, this);
        return;
      case "interfaces":
        this.#subnets = input.subnets;
        this.#servers.setSubnets(input.subnets);
        this.#peers.here = this.#here();
        return;
      case "announce":
        this.#announcements.set(input.what, this);
        return;
      case "routes":
        this.#peers.onRoutes(input.routes);
        return;
      case "counters":
        this.#peers.onCounters(input.peers);
        return;
      case "engine":
        this.#onEngine(input.event);
    }
  }

  #onEngine(event: EngineEvent): void {
    if (event.type === "datagram") this.#onDatagram(event.from, event.data);
    else if (event.type === "control") this.#announcements.onControl(event.peer, event.data, this);
    else this.#peers.onEngine(event);
    if (event.type === "up") this.#announcements.onUp(event.peer, this);
  }

  #onDatagram(from: Endpoint, data: Uint8Array): void {
    if (this.#own.taken) return;
    const map = this.#servers.onDatagram(from, data, this.at.now);
    if (map === undefined) {
      this.#ignored += 1;
      return;
    }
    const mine = map.entries[map.myIndex];
    const confirmed = mine?.virtualIp === this.config.virtualIp;
    if (mine !== undefined && confirmed) this.#confirmOwn(mine.publicEndpoint);
    this.#relist();
    const elsewhere = this.#elsewhere();
    this.#own.onMap(confirmed, elsewhere, this);
    if (!this.#own.contested) this.#peers.punch();
  }

  #confirmOwn(endpoint: Endpoint): void {
    if (this.#publicEndpoint !== endpoint) {
      this.#publicEndpoint = endpoint;
      this.#peers.here = this.#here();
      this.emit({ type: "changed" });
    }
    if (this.#ownEndpoints.confirm(endpoint, this.at.now, this.at.wall)) {
      this.emit({ type: "persist-own-endpoints", endpoints: this.#ownEndpoints.list() });
    }
  }

  /** Where the maps show our virtual IP, other than at endpoints of ours. */
  #elsewhere(): Endpoint[] {
    const entries = this.#servers.listing(this.at.now).get(this.config.virtualIp) ?? [];
    return entries
      .map((entry) => entry.publicEndpoint)
      .filter((endpoint) => !this.#ownEndpoints.has(endpoint, this.at.now));
  }

  #relist(): void {
    const all = this.#servers.listing(this.at.now);
    const known = this.#others;
    if (known === undefined || known.all !== all || known.without !== this.#publicEndpoint) {
      this.#others = { all, without: this.#publicEndpoint, listing: this.#withoutOurselves(all) };
    }
    if (this.#others !== undefined) this.#peers.onListing(this.#others.listing);
  }

  #withoutOurselves(all: Listing): Listing {
    const subnet = { address: this.config.virtualIp, length: this.config.prefixLength };
    const listing = new Map<string, readonly MapEntry[]>();
    for (const [address, entries] of all) {
      if (address === this.config.virtualIp || !isHostAddress(address, subnet)) continue;
      // Our own endpoint under another address: an entry of ours from before we changed it.
      const others = entries.filter((entry) => entry.publicEndpoint !== this.#publicEndpoint);
      if (others.length > 0) listing.set(address, others);
    }
    return listing;
  }

  #step(): void {
    const { now } = this.at;
    for (const event of [...this.#repeats.due(now), ...this.#flaps.due(now)])
      this.emit({ type: "event", event });
    const resting = this.#own.taken;
    this.#own.step(this);
    if (this.#own.taken) {
      if (!resting) this.#peers.hangUp();
      return;
    }
    if (resting) this.#servers.restart(this.at.now);
    this.#servers.step(this);
    this.#peers.step(this.#servers.anyAnswers(this.at.now), !this.#own.contested);
    this.#announcements.step(this);
    const state = this.#state(this.at.now);
    if (state !== this.#shownState) {
      this.#shownState = state;
      this.emit({ type: "changed" });
      const reason = state === "connecting" ? this.#waitingFor(this.#servers.view(this.at.now)) : undefined;
      const event = this.#story.became(state, reason);
      if (event !== undefined) this.tell(event);
    }
    for (const peer of this.#peers.table.all()) this.#teller.look(peer, this);
  }

  #here() {
    return { publicEndpoint: this.#publicEndpoint, subnets: this.#subnets, port: this.config.port };
  }

  #state(now: number): CarrierView["state"] {
    if (this.#own.taken) return "error";
    return this.#own.ready && this.#servers.anyAnswers(now) ? "up" : "connecting";
  }

  #waitingFor(servers: readonly ServerView[]): Reason {
    if (servers.some((server) => server.state === "up")) {
      return { code: "unconfirmed", message: "finding out whether another node holds the virtual IP" };
    }
    const names = servers.map((server) => server.address).join(", ");
    if (servers.every((server) => server.state === "unresolved")) {
      return { code: "unresolved", message: `no address known for ${names}` };
    }
    return { code: "timeout", message: `no answer from ${names}` };
  }

  #peerView(peer: Peer, at: Moment): CorePeerView {
    const { session } = peer;
    const virtualIp = virtualIpOf(peer);
    const view: CorePeerView = {
      id: peer.id,
      virtualIp,
      path: session.kind === "none" ? "none" : "direct",
      state: stateOf(peer, at.now),
      since: peer.since,
      foreign: session.kind !== "none" && session.foreign,
      endpoints: endpointsOf(peer),
      pathChanges: peer.pathChanges,
    };
    const reason = reasonOf(peer, at.now);
    const pin = this.#pins.get(virtualIp, at.wall);
    if (peer.name !== undefined) view.name = peer.name;
    if (reason !== undefined) view.reason = reason;
    if (peer.lastHandshake !== undefined) view.lastHandshake = peer.lastHandshake;
    if (peer.nodeKey !== undefined) view.nodeKey = peer.nodeKey;
    if (pin !== undefined) view.pinnedSince = pin.since;
    const endpoint = view.endpoints[0];
    if (endpoint !== undefined) view.endpoint = endpoint;
    if (session.kind !== "none") {
      view.cipher = session.cipher;
      view.pskEpoch = session.epoch;
    }
    return view;
  }
}

type OwnEndpointList = ReturnType<OwnEndpoints["list"]>;
