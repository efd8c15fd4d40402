/** A link to one other end over TCP: vpnd, or a classic simpletun (docs/tcp.md). */
import { randomBytes } from "node:crypto";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Carrier, CarrierEvent, CarrierView, Reason } from "../../core/carrier.js";
import type { Endpoint } from "../../core/engine.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import { backoffMs } from "../../core/mesh/backoff.js";
import { overlaps, parseCidr } from "../../core/network/cidr.js";
import type { PacketBatch, PacketPort, PortItems } from "../../core/packet-port.js";
import { type LinkHello, nonceBytes } from "../../core/tcp/hello.js";
import { LinkPeer } from "../../core/tcp/link-peer.js";
import { openLinkWarning, splitListen, type TcpOptions, tcpLinkText } from "../../core/tcp/options.js";
import { resolveServer } from "../../io/server-names.js";
import { Connection } from "../../io/tcp/connection.js";
import { close, dial, listen, type MakeTcpSocket, prepared, remoteOf } from "../../io/tcp/sockets.js";
import { secureClient, secureServer } from "../../io/tcp/tls.js";

export interface TcpCarrierOptions {
  /** Label, for logs. */
  network: string;
  tcp: TcpOptions;
  /** Own address in CIDR notation, canonical. */
  virtualIp: string;
  nodeName: string;
  /** Of the device, bytes. */
  mtu: number;
  /** Accepted PSKs, the preferred one first; not used without TLS. */
  psks: readonly PskEpoch[];
  /** Makes the port on the network's device; called once, in `start`. */
  port: (items: PortItems) => PacketPort;
  makeSocket: MakeTcpSocket;
  /** Looks "HOST:PORT" up; never rejects. Absent: as the system does. */
  resolve?: (server: string) => Promise<Endpoint[]>;
  log: Logger;
  /** How often the other end is asked for a sign of life, and how long it may be silent, milliseconds. */
  pingMs?: number;
  deadMs?: number;
}

/** A stream that is the link's, or would be. */
interface Candidate {
  stream: Duplex;
  endpoint: string;
  cipher?: string;
  epoch?: PskEpoch;
}

interface Living extends Candidate {
  connection: Connection;
  since: number;
}

const redial = { firstMs: 500, maxMs: 30_000 };
/** A connection that lasted so long was a good one, milliseconds. */
const goodMs = 10_000;
const mostHandshakes = 16;

export class TcpCarrier implements Carrier {
  onChange: () => void = () => {};
  onEvent: (event: CarrierEvent) => void = () => {};
  readonly #options: TcpCarrierOptions;
  readonly #log: Logger;
  readonly #peer: LinkPeer;
  readonly #stopping = new AbortController();
  readonly #items: PortItems;
  #psks: readonly PskEpoch[];
  #port: PacketPort | undefined;
  #servers: Server[] = [];
  #living: Living | undefined;
  #reason: Reason | undefined;
  /** Ends what waits for the connection's end. */
  #ended: () => void = () => {};
  #dialling: Promise<void> = Promise.resolve();
  #handshaking = new Set<Socket>();
  #stopped: Promise<void> | undefined;
  #toldState: CarrierView["state"] | undefined;
  readonly #up: Promise<void>;
  #isUp: () => void = () => {};
  readonly #drops = new Map<string, number>();
  readonly #handshakes: Record<string, number> = {};
  /** Of the device, but nobody was there to get it. */
  readonly #unsent = { packets: 0, bytes: 0 };

  constructor(options: TcpCarrierOptions) {
    this.#options = options;
    this.#psks = options.psks;
    this.#log = options.log.child({ network: options.network });
    this.#items = options.tcp.tap ? "frames" : "packets";
    this.#peer = new LinkPeer(options.tcp, options.virtualIp, Date.now());
    this.#up = new Promise((resolve) => {
      this.#isUp = resolve;
    });
  }

  async start(): Promise<void> {
    if (this.#port !== undefined || this.#stopped !== undefined) return;
    const { tcp, makeSocket } = this.#options;
    if (tcp.role === "listen") {
      this.#servers = await listen(
        makeSocket,
        splitListen(tcp.address),
        (socket) => void this.#accept(socket),
      );
    }
    const port = this.#options.port(this.#items);
    this.#port = port;
    port.onPackets = (batch) => this.#send(batch);
    port.start();
    if (tcp.role === "connect") this.#dialling = this.#dialAll();
    else this.#isUp();
    this.#tellState();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(VpnError.from(signal.reason, "cancelled"));
      signal.addEventListener("abort", fail, { once: true });
      void this.#up.then(() => {
        signal.removeEventListener("abort", fail);
        resolve();
      });
    });
  }

  responds(): boolean {
    return this.#port?.responds() ?? true;
  }

  view(): CarrierView {
    const { tls } = this.#options.tcp;
    const counters = this.#port?.counters() ?? emptyCounters();
    const drops: Record<string, number> = { ...counters.drops };
    for (const [reason, count] of this.#drops) drops[reason] = count;
    const leftOut = this.#living?.connection.leftOut ?? 0;
    if (leftOut > 0) drops["too-big-for-frame"] = (drops["too-big-for-frame"] ?? 0) + leftOut;
    const { packets, bytes } = this.#unsent;
    const traffic = {
      rxBytes: counters.rxBytes,
      rxPackets: counters.rxPackets,
      txBytes: Math.max(0, counters.txBytes - bytes),
      txPackets: Math.max(0, counters.txPackets - packets),
    };
    const features = this.#port?.features();
    const crypto = tls ? `OpenSSL ${process.versions.openssl}` : "none";
    const buffers = { receiveBufferBytes: 0, sendBufferBytes: 0 };
    const peer = this.#peer.view(traffic, this.#options.mtu, this.#living?.connection.rttSeconds);
    return {
      state: this.#state(),
      ...(this.#reason !== undefined && this.#state() !== "up" && { reason: this.#reason }),
      servers: [],
      peers: peer === undefined ? [] : [peer],
      counters: { ...counters, drops },
      handshakes: { ...this.#handshakes },
      unknownDestinations: [],
      ciphers: tls ? ["TLS_AES_128_GCM_SHA256"] : [],
      ...(features !== undefined && { features: { ...features, ...buffers, crypto } }),
      notes: [...(tls ? [] : [openLinkWarning]), ...this.#mtuNotes()],
    };
  }

  async forgetPeer(): Promise<boolean> {
    return false;
  }

  setPsks(psks: readonly PskEpoch[]): void {
    this.#psks = psks;
    const epoch = this.#living?.epoch;
    if (epoch === undefined || psks.some(({ id }) => id === epoch.id)) return;
    this.#end({ code: "psk", message: "its PSK is accepted no more" });
  }

  async ping(virtualIp: string, timeoutSeconds: number): Promise<number> {
    const connection = this.#living?.connection;
    if (connection !== undefined && connection.peer === undefined) {
      const hint = `measure with packets instead: ping ${virtualIp}`;
      throw new VpnError("failed", `${virtualIp} is not vpnd and answers no probes`, { hint });
    }
    return await new Promise<number>((resolve, reject) => {
      let forget = (): void => {};
      const timer = setTimeout(() => {
        forget();
        const hint = "see: vpnctl peers";
        reject(new VpnError("no-reply", `no answer from ${virtualIp} within ${timeoutSeconds} s`, { hint }));
      }, timeoutSeconds * 1000);
      const answered = (rttSeconds: number): void => {
        clearTimeout(timer);
        resolve(rttSeconds);
      };
      forget = connection?.ping(answered) ?? forget;
    });
  }

  #state(): CarrierView["state"] {
    if (this.#port === undefined) return "connecting";
    return this.#options.tcp.role === "listen" || this.#living !== undefined ? "up" : "connecting";
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(new VpnError("cancelled", "the network was stopped"));
    for (const socket of this.#handshaking) socket.destroy();
    const closing = close(this.#servers);
    this.#end({ code: "stopped", message: "the network was stopped" });
    await closing;
    await this.#dialling;
    await this.#port?.stop();
  }

  #send(batch: PacketBatch): void {
    const living = this.#living;
    if (living === undefined) {
      this.#unsent.packets += batch.ends.length;
      this.#unsent.bytes += batch.data.length;
      this.#count("not-connected", batch.ends.length);
      batch.release();
      return;
    }
    if (!living.connection.send(batch)) this.#port?.pause();
  }

  /** Somebody connected: the first one has the link, but with TLS whoever has the key may come back before the old one is dead. */
  async #accept(socket: Socket): Promise<void> {
    const endpoint = remoteOf(socket);
    const { tls } = this.#options.tcp;
    if (this.#stopping.signal.aborted || this.#handshaking.size >= mostHandshakes || (!tls && this.#living)) {
      socket.destroy();
      this.#count(this.#living ? "second-connection" : "too-many-connections", 1);
      return;
    }
    prepared(socket);
    if (!tls) return this.#use({ stream: socket, endpoint });
    this.#handshaking.add(socket);
    try {
      const { stream, cipher, epoch } = await secureServer(socket, this.#psks);
      this.#end({ code: "replaced", message: "the other end connected again" });
      this.#countHandshake("ok");
      this.#use({ stream, endpoint, cipher, epoch });
    } catch (error) {
      this.#failedHandshake(endpoint, VpnError.from(error));
    } finally {
      this.#handshaking.delete(socket);
    }
  }

  async #dialAll(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      const began = performance.now();
      const error = await this.#dialOnce(signal);
      if (signal.aborted) return;
      failures = error === undefined && performance.now() - began > goodMs ? 1 : failures + 1;
      if (error !== undefined) this.#fail(reasonOf(error));
      await delay(backoffMs(redial, failures, Math.random()), undefined, { signal, ref: false }).catch(
        () => {},
      );
    }
  }

  /** Connects, and returns when the connection is over; with an error when there was none. */
  async #dialOnce(signal: AbortSignal): Promise<VpnError | undefined> {
    const { tcp, makeSocket, resolve = resolveServer } = this.#options;
    const endpoints = await resolve(tcp.address);
    let error = new VpnError("failed", `${tcp.address} has no address`, { hint: "check the name and DNS" });
    for (const endpoint of endpoints) {
      if (signal.aborted) return error;
      try {
        this.#refuseLoop(endpoint);
        const socket = await dial(makeSocket, endpoint, signal);
        const over = new Promise<void>((resolve) => {
          this.#ended = resolve;
        });
        this.#use(await this.#secured(socket, endpoint));
        await over;
        return undefined;
      } catch (thrown) {
        error = VpnError.from(thrown);
      }
    }
    return error;
  }

  async #secured(socket: Socket, endpoint: string): Promise<Candidate> {
    if (!this.#options.tcp.tls) return { stream: socket, endpoint };
    try {
      const { stream, cipher, epoch } = await secureClient(socket, this.#psks);
      this.#countHandshake("ok");
      return { stream, endpoint, cipher, epoch };
    } catch (error) {
      this.#countHandshake(reasonOf(VpnError.from(error)).code);
      throw error;
    }
  }

  /** A link through itself would never come up. */
  #refuseLoop(endpoint: string): void {
    const own = parseCidr(this.#options.virtualIp);
    const address = endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
    const target = parseCidr(`${address}/${address.includes(":") ? 128 : 32}`);
    if (own === undefined || target === undefined || !overlaps(own, target)) return;
    throw new VpnError("failed", `${endpoint} is inside the link's own network ${own.prefix}`, {
      hint: "connect to the address that the other end has outside the link",
    });
  }

  #use(candidate: Candidate): void {
    if (this.#stopping.signal.aborted) {
      candidate.stream.destroy();
      this.#ended();
      return;
    }
    const { virtualIp, nodeName, mtu, tcp, pingMs = 5_000, deadMs = 15_000 } = this.#options;
    const hello: LinkHello = {
      nonce: new Uint8Array(randomBytes(nonceBytes)),
      tap: tcp.tap,
      supers: !tcp.tap,
      mtu,
      virtualIp: virtualIp.slice(0, virtualIp.indexOf("/")),
      name: nodeName,
    };
    const connection = new Connection(candidate.stream, {
      hello,
      pingMs,
      deadMs,
      events: {
        onItems: (items, data, ends) => {
          if (this.#peer.wantsAddress) this.#learn(data.subarray(0, ends[0] ?? 0));
          this.#port?.write(data, ends, items);
        },
        onPeer: (peer) => this.#met(peer),
        onDrain: () => this.#port?.resume(),
        onEnd: (reason) => this.#end(reason),
      },
    });
    this.#living = { ...candidate, connection, since: Date.now() };
    this.#reason = undefined;
    const { endpoint, cipher, epoch } = candidate;
    this.#log.info({ endpoint, cipher }, "link is up");
    this.#isUp();
    this.#change(() =>
      this.#peer.connected(
        { endpoint, ...(cipher !== undefined && { cipher }), ...(epoch && { pskEpoch: epoch.id }) },
        Date.now(),
      ),
    );
  }

  #met(peer: LinkHello): void {
    if (peer.supers && !this.#options.tcp.tap) this.#port?.choose("supers");
    this.#change(() => this.#peer.met(peer));
  }

  #learn(item: Uint8Array): void {
    this.#change(() => this.#peer.learn(item));
  }

  /** The connection is over, if there is one. */
  #end(reason: Reason): void {
    const living = this.#living;
    if (living === undefined) return;
    this.#living = undefined;
    living.connection.close();
    this.#count("too-big-for-frame", living.connection.leftOut);
    this.#port?.choose(this.#items);
    this.#port?.resume();
    this.#log.info({ endpoint: living.endpoint, reason }, "link is down");
    this.#fail(reason);
    this.#ended();
  }

  #fail(reason: Reason): void {
    this.#reason = reason;
    this.#change(() => this.#peer.disconnected(reason, Date.now()));
  }

  #failedHandshake(endpoint: string, error: VpnError): void {
    const reason = reasonOf(error);
    this.#countHandshake(reason.code);
    this.#log.warn({ endpoint, reason }, "link refused");
    if (this.#living === undefined) this.#fail(reason);
  }

  #change(change: () => CarrierEvent[]): void {
    const events = change();
    for (const event of events) this.onEvent(event);
    this.#tellState();
    this.onChange();
  }

  #tellState(): void {
    const state = this.#state();
    if (state === this.#toldState) return;
    this.#toldState = state;
    const reason = state === "up" ? undefined : this.#reason;
    this.onEvent({
      type: state === "up" ? "up" : "down",
      state,
      ...(reason !== undefined && { reason }),
      message: tcpLinkText(this.#options.tcp),
    });
  }

  #mtuNotes(): string[] {
    const theirs = this.#living?.connection.peer?.mtu;
    const { mtu } = this.#options;
    if (theirs === undefined || theirs === mtu) return [];
    return [`the other end's device has an MTU of ${theirs}, this one ${mtu}: give both the same with --mtu`];
  }

  #count(what: string, count: number): void {
    if (count > 0) this.#drops.set(what, (this.#drops.get(what) ?? 0) + count);
  }

  #countHandshake(result: string): void {
    this.#handshakes[result] = (this.#handshakes[result] ?? 0) + 1;
  }
}

function reasonOf(error: VpnError): Reason {
  const code = error.code === "not-permitted" ? "wrong-psk" : "unreachable";
  return { code, message: error.message };
}

const emptyCounters = () => ({ rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} });
