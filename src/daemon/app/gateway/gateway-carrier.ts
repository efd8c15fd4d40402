/** A network by way of a gateway: this machine is its client. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import { type ClientDialect, clientDialect } from "../../../common/gateway/client-dialect.js";
import { dialGateway } from "../../../common/gateway/dial.js";
import { type GatewayHello, gatewayHeaders } from "../../../common/gateway/hello.js";
import { backoffMs } from "../../core/backoff.js";
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
  firstHop,
  type GatewayClientOptions,
  gatewayKey,
  openGatewayWarning,
} from "../../core/gateway/client-options.js";
import { GatewayPeer } from "../../core/gateway/gateway-peer.js";
import { announcementOf } from "../../core/gateway/offered.js";
import { overlaps, parseCidr } from "../../core/network/cidr.js";
import type { PacketBatch, PacketPort, PortItems } from "../../core/packet-port.js";
import { Channel, closeCodes } from "../../io/gateway/channel.js";
import { resolveServer } from "../../io/server-names.js";
import type { Learned } from "../../io/state/store.js";
import { dial, type MakeTcpSocket } from "../../io/tcp/sockets.js";
import { Readiness } from "../readiness.js";
import { roundTrip } from "../round-trip.js";

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

interface Living {
  channel: Channel;
  parseHello: ClientDialect["parseHello"];
  endpoint: string;
  cipher: string | undefined;
  /** Absent: the gateway has not said hello yet. */
  hello?: GatewayHello;
}

const redial = { firstMs: 500, maxMs: 30_000 };
/** A connection that lasted so long was a good one, milliseconds. */
const goodMs = 10_000;
const helloMs = 15_000;
const nothingGoes =
  "nothing goes by way of the gateway but what is sent to it; name prefixes with --route, or send everything: vpnctl exit-node use gateway";

export class GatewayCarrier implements Carrier {
  onChange: () => void = () => {};
  onEvent: (event: CarrierEvent) => void = () => {};
  #options: GatewayCarrierOptions;
  readonly #log: Logger;
  readonly #peer = new GatewayPeer(Date.now());
  readonly #stopping = new AbortController();
  #port: PacketPort | undefined;
  #filter: EngineFilter | undefined;
  /** The last one that was taken: what the gateway said stays true while it is away. */
  #hello: GatewayHello | undefined;
  /** Where it was looked up, newest first. */
  #endpoints: readonly string[] = [];
  #living: Living | undefined;
  #resume: string;
  #reason: Reason | undefined;
  /** Ends what waits for the connection's end. */
  #ended: () => void = () => {};
  #dialling: Promise<void> = Promise.resolve();
  /** Of the connection that there is, or is attempted, or waited for. */
  #attempt = new AbortController();
  #stopped: Promise<void> | undefined;
  #toldState: CarrierView["state"] | undefined;
  readonly #readiness = new Readiness();
  #notConnected = { packets: 0, bytes: 0 };

  constructor(options: GatewayCarrierOptions) {
    this.#options = options;
    this.#log = options.log.child({ network: options.network });
    const { resume } = options.learned;
    this.#resume = typeof resume === "string" ? resume : "";
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
    this.#dialling = this.#dialAll();
    this.#tellState();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  ready(signal: AbortSignal): Promise<void> {
    return this.#readiness.wait(signal);
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

  resolvers(): readonly string[] {
    return this.#hello?.dns ?? [];
  }

  view(): CarrierView {
    const counters = this.#port?.counters() ?? {
      rxBytes: 0,
      txBytes: 0,
      rxPackets: 0,
      txPackets: 0,
      drops: {},
    };
    const { packets, bytes } = this.#notConnected;
    const drops = packets === 0 ? counters.drops : { ...counters.drops, "not-connected": packets };
    const traffic = {
      rxBytes: counters.rxBytes,
      rxPackets: counters.rxPackets,
      txBytes: Math.max(0, counters.txBytes - bytes),
      txPackets: Math.max(0, counters.txPackets - packets),
    };
    const features = this.#port?.features();
    const state = this.#state();
    const encrypted = this.#options.gateway.url.startsWith("wss:");
    const crypto = encrypted ? `OpenSSL ${process.versions.openssl}` : "none";
    return {
      state,
      ...(this.#reason !== undefined && state !== "up" && { reason: this.#reason }),
      servers: [],
      peers: [this.#peer.view(traffic, this.#options.mtu, this.#living?.channel.rttSeconds, this.#endpoints)],
      counters: { ...counters, drops },
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
    return roundTrip(virtualIp, timeoutSeconds, (answered) => this.#living?.channel.ping(answered));
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
        this.#refuseLoop(living.endpoint);
        await this.#options.assign(this.#assignment(living.hello));
      }
    } catch (error) {
      this.#options = before;
      throw error;
    }
    const { gateway: had, token: hadToken, nodeName: hadName } = before;
    if (gateway.proxy === had.proxy && token === hadToken && nodeName === hadName) return this.onChange();
    this.#end({ code: "settings", message: "it connects anew, with other settings" });
    this.#attempt.abort(new VpnError("cancelled", "the settings changed"));
  }

  #notes(encrypted: boolean): string[] {
    const { routes } = this.#options.gateway;
    const resolvers = this.resolvers();
    return [
      ...(encrypted ? [] : [openGatewayWarning]),
      ...(resolvers.length === 0 ? [] : [`the gateway names resolvers: ${resolvers.join(", ")}`]),
      ...(routes.length === 0 ? [nothingGoes] : []),
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
    const stopped = new VpnError("cancelled", "the network was stopped");
    this.#stopping.abort(stopped);
    this.#attempt.abort(stopped);
    this.#end({ code: "stopped", message: "the network was stopped" });
    await this.#dialling;
    await this.#port?.stop();
  }

  #send(batch: PacketBatch): void {
    const living = this.#living;
    if (living?.hello === undefined || batch.items === "frames") {
      this.#notConnected.packets += batch.ends.length;
      this.#notConnected.bytes += batch.data.length;
      batch.release();
      return;
    }
    const { data, ends, items } = batch;
    if (!living.channel.send({ data, ends, items, release: () => batch.release() })) this.#port?.pause();
  }

  async #dialAll(): Promise<void> {
    for (let failures = 0; !this.#stopping.signal.aborted; ) {
      this.#attempt = new AbortController();
      const { signal } = this.#attempt;
      const began = performance.now();
      const error = await this.#dialOnce(signal);
      if (this.#stopping.signal.aborted) return;
      if (signal.aborted) {
        failures = 0;
        continue;
      }
      failures = error === undefined && performance.now() - began > goodMs ? 1 : failures + 1;
      if (error !== undefined) this.#fail(reasonOf(error));
      await delay(backoffMs(redial, failures, Math.random()), undefined, { signal, ref: false }).catch(
        () => {},
      );
    }
  }

  /** Connects, and returns when the connection is over; with an error when there was none. */
  async #dialOnce(signal: AbortSignal): Promise<VpnError | undefined> {
    const { gateway, makeSocket, resolve = resolveServer } = this.#options;
    const { url, proxy } = gateway;
    const hop = firstHop(gateway);
    let error = new VpnError("failed", `${hop} has no address`, { hint: "check the name and DNS" });
    const endpoints = await resolve(hop);
    if (endpoints.length > 0) this.#endpoints = endpoints;
    for (const endpoint of endpoints) {
      if (signal.aborted) return error;
      try {
        this.#refuseLoop(endpoint);
        const dialect = clientDialect(gateway);
        const over = new Promise<void>((resolve) => {
          this.#ended = resolve;
        });
        await dialGateway(
          {
            url,
            ...(proxy !== undefined && { proxy }),
            connect: (signal) => dial(makeSocket, endpoint, signal),
            headers: this.#headers(),
            subprotocols: dialect.subprotocols,
            signal,
          },
          (socket, cipher) => {
            const channel = this.#channel(socket, dialect);
            this.#living = { channel, parseHello: dialect.parseHello, endpoint, cipher };
            this.#expectHello();
          },
        );
        await over;
        return undefined;
      } catch (thrown) {
        error = VpnError.from(thrown);
      }
    }
    return error;
  }

  #headers(): Record<string, string> {
    const { token, nodeName } = this.#options;
    return {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(this.#resume !== "" && { [gatewayHeaders.resume]: this.#resume }),
      [gatewayHeaders.name]: nodeName,
    };
  }

  #channel(socket: ConstructorParameters<typeof Channel>[0], { codec }: ClientDialect): Channel {
    const { pingMs = 5_000, deadMs = 15_000 } = this.#options;
    const channel = new Channel(socket, {
      codec,
      pingMs,
      deadMs,
      events: {
        onItems: (items, data, ends) => {
          if (this.#living?.hello !== undefined) this.#port?.write(data, ends, items);
        },
        onControl: (message) => this.#onControl(message),
        onDrain: () => this.#port?.resume(),
        onEnd: (reason) => {
          if (this.#living?.channel === channel) this.#end(reason);
        },
      },
    });
    return channel;
  }

  #expectHello(): void {
    const living = this.#living;
    const timer = setTimeout(() => {
      if (this.#living !== living || living?.hello !== undefined) return;
      this.#end({ code: "silent", message: "the gateway opened the connection and said nothing" });
    }, helloMs);
    timer.unref();
  }

  #onControl(message: Uint8Array): void {
    const living = this.#living;
    const hello = living?.parseHello(message);
    if (living === undefined || living.hello !== undefined || hello === undefined) return;
    this.#options.assign(this.#assignment(hello)).then(
      () => this.#welcome(living, hello),
      (error: unknown) => {
        if (this.#living !== living) return;
        const { message: text } = VpnError.from(error);
        this.#log.error({ err: error }, "the gateway's addresses cannot be used");
        this.#end({ code: "addresses", message: text });
      },
    );
  }

  #assignment({ addresses, mtu }: GatewayHello): Assignment {
    const { mtu: largest, gateway } = this.#options;
    return { addresses, mtu: Math.min(largest, mtu), routes: gateway.routes };
  }

  /** Packets flow from here on. */
  #welcome(living: Living, hello: GatewayHello): void {
    if (this.#living !== living) return;
    living.hello = hello;
    this.#hello = hello;
    this.#reason = undefined;
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

  /** The connection is over, if there is one. */
  #end(reason: Reason): void {
    const living = this.#living;
    if (living === undefined) return;
    this.#living = undefined;
    living.channel.close(closeCodes.normal, "");
    this.#port?.resume();
    this.#log.info({ endpoint: living.endpoint, reason }, "the gateway is gone");
    this.#fail(reason);
    this.#ended();
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

  /** A way to the gateway by way of the gateway would never come up. */
  #refuseLoop(endpoint: string): void {
    const address = endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
    const target = parseCidr(`${address}/${address.includes(":") ? 128 : 32}`);
    const taken = this.#options.gateway.routes.find((route) => {
      const prefix = parseCidr(route);
      return prefix !== undefined && target !== undefined && overlaps(prefix, target);
    });
    if (taken === undefined) return;
    throw new VpnError("failed", `${endpoint} is inside ${taken}, which goes by way of the gateway itself`, {
      hint: "name prefixes around it with --route",
    });
  }
}

function reasonOf(error: VpnError): Reason {
  if (error.fields.reason === "quota") return { code: "quota", message: error.message };
  const code = error.code === "not-permitted" ? "wrong-token" : "unreachable";
  return { code, message: error.message };
}
