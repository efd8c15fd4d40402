/** A network by way of a gateway: this machine is its client. */
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import { type GatewayHello, gatewayHeaders } from "../../../common/gateway/hello.js";
import type {
  AnnouncedPeer,
  Carrier,
  CarrierEvent,
  CarrierView,
  LiveSettings,
  Reason,
} from "../../core/carrier.js";
import type { Endpoint } from "../../core/engine.js";
import type { EngineFilter } from "../../core/filter/engine-filter.js";
import { linkFilter } from "../../core/filter/link-filter.js";
import {
  type GatewayClientOptions,
  gatewayKey,
  nothingGoesNote,
  openGatewayWarning,
} from "../../core/gateway/client-options.js";
import { GatewayPeer } from "../../core/gateway/gateway-peer.js";
import { announcementOf } from "../../core/gateway/offered.js";
import { refuseLoop } from "../../core/gateway/refuse-loop.js";
import type { PacketBatch, PacketPort, PortItems } from "../../core/packet-port.js";
import { resolveServer } from "../../io/server-names.js";
import type { Learned } from "../../io/state/store.js";
import type { MakeTcpSocket } from "../../io/tcp/sockets.js";
import { PortCounts } from "../port-counts.js";
import { Readiness } from "../readiness.js";
import { roundTrip } from "../round-trip.js";
import { GatewayConnection, type Opened } from "./gateway-connection.js";
import { GatewayDialling } from "./gateway-dialling.js";

/** What the network's device gets of the gateway. */
export interface Assignment {
  /** CIDR. */
  addresses: readonly string[];
  /** Bytes. */
  mtu: number;
  /** Prefixes that go over the device. */
  routes: readonly string[];
}

export interface GatewayCarrierOptions {
  /** Label, for logs. */
  network: string;
  gateway: GatewayClientOptions;
  /** Absent: none. */
  token?: string;
  nodeName: string;
  /** Of the device, bytes. */
  mtu: number;
  learned: Learned;
  onLearned: (learned: Learned) => void;
  /** Gives the device its addresses and routes; rejects with a VpnError when that cannot be. */
  assign: (assignment: Assignment) => Promise<void>;
  /** Makes the port on the network's device; called once, in `start`. */
  port: (items: PortItems) => PacketPort;
  makeSocket: MakeTcpSocket;
  /** Looks "HOST:PORT" up; never rejects. Absent: as the system does. */
  resolve?: (server: string) => Promise<Endpoint[]>;
  log: Logger;
  /** How often the gateway is asked for a sign of life, and how long it may be silent, milliseconds. */
  pingMs?: number;
  deadMs?: number;
}

export class GatewayCarrier implements Carrier {
  onChange: () => void = () => {};
  onEvent: (event: CarrierEvent) => void = () => {};
  #options: GatewayCarrierOptions;
  readonly #log: Logger;
  readonly #peer = new GatewayPeer(Date.now());
  readonly #dialling: GatewayDialling;
  readonly #counts = new PortCounts();
  #port: PacketPort | undefined;
  #filter: EngineFilter | undefined;
  /** The last one that was taken: what the gateway said stays true while it is away. */
  #hello: GatewayHello | undefined;
  /** Where it was looked up, newest first. */
  #endpoints: readonly string[] = [];
  #living: GatewayConnection | undefined;
  #resume: string;
  #reason: Reason | undefined;
  #refusal: VpnError | undefined;
  /** It is this machine's exit node, or carries prefixes that were accepted of it. */
  #carries = false;
  #stopped: Promise<void> | undefined;
  #toldState: CarrierView["state"] | undefined;
  readonly #readiness = new Readiness();

  constructor(options: GatewayCarrierOptions) {
    this.#options = options;
    this.#log = options.log.child({ network: options.network });
    const { resume } = options.learned;
    this.#resume = typeof resume === "string" ? resume : "";
    this.#dialling = new GatewayDialling({
      gateway: () => this.#options.gateway,
      headers: () => this.#headers(),
      makeSocket: options.makeSocket,
      resolve: options.resolve ?? resolveServer,
      onEndpoints: (endpoints) => {
        this.#endpoints = endpoints;
      },
      onOpened: (opened) => this.#opened(opened),
      onFailure: (error) => {
        const { reason: code } = error.fields;
        this.#refusal = code === undefined ? undefined : error;
        this.#fail({ code: code === undefined ? "unreachable" : String(code), message: error.message });
      },
    });
  }

  async start(): Promise<void> {
    if (this.#port !== undefined || this.#stopped !== undefined) return;
    const { fanqiang = false, padding = false } = this.#options.gateway;
    // A super-packet is nothing for fanqiang-poc, and has a size of its own.
    const port = this.#options.port(fanqiang || padding ? "packets" : "supers");
    this.#port = port;
    this.#applyFilter();
    port.onPackets = (batch) => this.#send(batch);
    port.start();
    this.#dialling.start();
    this.#tellState();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  ready(signal: AbortSignal): Promise<void> {
    return this.#readiness.wait(signal);
  }

  refusal(): VpnError | undefined {
    return this.#refusal;
  }

  responds(): boolean {
    return this.#port?.responds() ?? true;
  }

  /** CIDR of each; none before the gateway answered for the first time. */
  addresses(): readonly string[] {
    return this.#hello?.addresses ?? [];
  }

  /** The gateway offers itself as an exit node, and what else it carries. */
  announcements(): AnnouncedPeer[] {
    const hello = this.#hello;
    if (hello === undefined) return [];
    const { virtualIp } = this.#peer;
    const nodeKey = gatewayKey(this.#options.gateway);
    const up = this.#state() === "up";
    return [{ virtualIp, name: "gateway", nodeKey, up, what: announcementOf(hello) }];
  }

  /** Everything goes to the gateway; this only tells how much is meant to. */
  setRoutes(routes: ReadonlyMap<string, readonly string[]>): void {
    this.#carries = (routes.get(gatewayKey(this.#options.gateway)) ?? []).length > 0;
  }

  resolvers(): readonly string[] {
    return this.#hello?.dns ?? [];
  }

  view(): CarrierView {
    const { traffic, counters } = this.#counts.view(this.#port?.counters(), 0);
    const features = this.#port?.features();
    const state = this.#state();
    const encrypted = this.#options.gateway.url.startsWith("wss:");
    const crypto = encrypted ? `OpenSSL ${process.versions.openssl}` : "none";
    return {
      state,
      ...(this.#reason !== undefined && state !== "up" && { reason: this.#reason }),
      servers: [],
      peers: [this.#peer.view(traffic, this.#options.mtu, this.#living?.rttSeconds, this.#endpoints)],
      counters,
      unknownDestinations: [],
      ciphers: [],
      ...(features !== undefined && {
        features: { ...features, receiveBufferBytes: 0, sendBufferBytes: 0, crypto },
      }),
      notes: this.#notes(encrypted),
    };
  }

  async forgetPeer(): Promise<boolean> {
    return false;
  }

  /** Rules for the gateway hold for all that comes by way of it. */
  setFilter(filter: EngineFilter): void {
    this.#filter = filter;
    this.#applyFilter();
  }

  ping(virtualIp: string, timeoutSeconds: number): Promise<number> {
    return roundTrip(virtualIp, timeoutSeconds, (answered) => this.#living?.ping(answered));
  }

  /** Other routes disturb nothing; anything else takes another connection. */
  async reconfigure({ gateway, token, nodeName }: LiveSettings): Promise<void> {
    const before = this.#options;
    if (gateway === undefined) return;
    const { token: _, ...others } = before;
    this.#options = { ...others, gateway, nodeName, ...(token !== undefined && { token }) };
    try {
      const living = this.#living;
      if (living?.hello !== undefined) {
        refuseLoop(living.endpoint, gateway.routes);
        await this.#options.assign(this.#assignment(living.hello));
      }
    } catch (error) {
      this.#options = before;
      throw error;
    }
    const { gateway: had, token: hadToken, nodeName: hadName } = before;
    if (gateway.proxy === had.proxy && token === hadToken && nodeName === hadName) return this.onChange();
    this.#living?.end({ code: "settings", message: "it connects anew, with other settings" });
    this.#dialling.again();
  }

  #notes(encrypted: boolean): string[] {
    const { routes } = this.#options.gateway;
    const resolvers = this.resolvers();
    return [
      ...(encrypted ? [] : [openGatewayWarning]),
      ...(resolvers.length === 0 ? [] : [`the gateway names resolvers: ${resolvers.join(", ")}`]),
      ...(routes.length === 0 && !this.#carries ? [nothingGoesNote] : []),
    ];
  }

  #state(): CarrierView["state"] {
    return this.#living?.hello === undefined ? "connecting" : "up";
  }

  #applyFilter(): void {
    if (this.#filter !== undefined)
      this.#port?.setFilter(linkFilter(this.#filter, ...(this.#hello?.gateways ?? [])));
  }

  async #stop(): Promise<void> {
    const stopped = this.#dialling.stop();
    this.#living?.end({ code: "stopped", message: "the network was stopped" });
    await stopped;
    await this.#port?.stop();
  }

  #send(batch: PacketBatch): void {
    const living = this.#living;
    if (living?.hello === undefined || batch.items === "frames") {
      this.#counts.unsent(batch);
      batch.release();
      return;
    }
    const { data, ends, items } = batch;
    if (!living.send({ data, ends, items, release: () => batch.release() })) this.#port?.pause();
  }

  #headers(): Record<string, string> {
    const { token, nodeName } = this.#options;
    return {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(this.#resume !== "" && { [gatewayHeaders.resume]: this.#resume }),
      [gatewayHeaders.name]: nodeName,
    };
  }

  #opened(opened: Opened): GatewayConnection {
    const { pingMs = 5_000, deadMs = 15_000 } = this.#options;
    const connection: GatewayConnection = new GatewayConnection(opened, {
      pingMs,
      deadMs,
      onHello: (hello) => this.#take(connection, hello),
      onItems: (items, data, ends) => this.#port?.write(data, ends, items),
      onDrain: () => this.#port?.resume(),
      onEnd: (reason) => {
        if (this.#living === connection) this.#lost(connection, reason);
      },
    });
    this.#living = connection;
    return connection;
  }

  /** Gives the device what the gateway said; the connection is good if that can be. */
  #take(connection: GatewayConnection, hello: GatewayHello): void {
    this.#options.assign(this.#assignment(hello)).then(
      () => {
        if (this.#living === connection) this.#welcome(connection, hello);
      },
      (error: unknown) => {
        if (this.#living !== connection) return;
        this.#log.error({ err: error }, "the gateway's addresses cannot be used");
        connection.end({ code: "addresses", message: VpnError.from(error).message });
      },
    );
  }

  #assignment({ addresses, mtu }: GatewayHello): Assignment {
    const { mtu: largest, gateway } = this.#options;
    return { addresses, mtu: Math.min(largest, mtu), routes: gateway.routes };
  }

  /** Packets flow from here on. */
  #welcome(living: GatewayConnection, hello: GatewayHello): void {
    living.accept(hello);
    this.#hello = hello;
    this.#reason = undefined;
    this.#refusal = undefined;
    if (hello.resume !== this.#resume) {
      this.#resume = hello.resume;
      this.#options.onLearned({ resume: hello.resume });
    }
    const { endpoint, cipher } = living;
    this.#log.info({ endpoint, cipher, addresses: hello.addresses }, "the gateway is there");
    this.#readiness.ready();
    this.#applyFilter();
    const [virtualIp = ""] = hello.gateways;
    this.#change(() =>
      this.#peer.connected({ virtualIp, endpoint, ...(cipher !== undefined && { cipher }) }, Date.now()),
    );
  }

  #lost({ endpoint }: GatewayConnection, reason: Reason): void {
    this.#living = undefined;
    this.#port?.resume();
    this.#log.info({ endpoint, reason }, "the gateway is gone");
    this.#fail(reason);
  }

  #fail(reason: Reason): void {
    this.#reason = reason;
    this.#change(() => this.#peer.disconnected(reason, Date.now()));
  }

  #change(change: () => CarrierEvent[]): void {
    for (const event of change()) this.onEvent(event);
    this.#tellState();
    this.onChange();
  }

  #tellState(): void {
    const state = this.#state();
    if (state === this.#toldState) return;
    this.#toldState = state;
    const reason = state === "up" ? undefined : this.#reason;
    const message = `gateway ${this.#options.gateway.url}`;
    this.onEvent({
      type: state === "up" ? "up" : "down",
      state,
      ...(reason !== undefined && { reason }),
      message,
    });
  }
}
