/** A link to one other end over TCP: vpnd, or a classic simpletun (docs/tcp.md). */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
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
import { signingKey } from "../../core/keys/ed25519.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import type { PacketBatch, PacketPort, PortItems } from "../../core/packet-port.js";
import type { Announcement } from "../../core/routes/announcement.js";
import { type LinkHello, nonceBytes } from "../../core/tcp/hello.js";
import { LinkPeer } from "../../core/tcp/link-peer.js";
import { openLinkWarning, type TcpOptions, tcpLinkText } from "../../core/tcp/options.js";
import { resolveServer } from "../../io/server-names.js";
import type { MakeTcpSocket } from "../../io/tcp/sockets.js";
import { PortCounts } from "../port-counts.js";
import { Readiness } from "../readiness.js";
import { roundTrip } from "../round-trip.js";
import { LinkAnnouncements } from "./link-announcements.js";
import { LinkEnds, type Living } from "./link-ends.js";
import { LinkWay, reasonOf } from "./link-way.js";

export interface TcpCarrierOptions {
  /** Label, for logs. */
  network: string;
  tcp: TcpOptions;
  /** Own address in CIDR notation, canonical. */
  virtualIp: string;
  nodeName: string;
  /** Ed25519 seed, 32 bytes. */
  nodeSeed: Uint8Array;
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

export class TcpCarrier implements Carrier {
  onChange: () => void = () => {};
  onEvent: (event: CarrierEvent) => void = () => {};
  /** Absent with TAPs: there a route needs the next hop's Ethernet address, and that is the user's business. */
  readonly announce?: (what: Announcement) => void;
  readonly announcements?: () => AnnouncedPeer[];
  readonly #options: TcpCarrierOptions;
  readonly #log: Logger;
  readonly #peer: LinkPeer;
  readonly #announcements = new LinkAnnouncements(() => this.onChange());
  readonly #counts = new PortCounts();
  readonly #ends: LinkEnds;
  readonly #items: PortItems;
  #tcp: TcpOptions;
  #nodeName: string;
  #psks: readonly PskEpoch[];
  #port: PacketPort | undefined;
  #way: LinkWay | undefined;
  #filter: EngineFilter | undefined;
  /** The other end's address that the port's filter was made for. */
  #filteredFor: string | undefined;
  #reason: Reason | undefined;
  #stopped: Promise<void> | undefined;
  #toldState: CarrierView["state"] | undefined;
  readonly #readiness = new Readiness();

  constructor(options: TcpCarrierOptions) {
    this.#options = options;
    this.#tcp = options.tcp;
    this.#nodeName = options.nodeName;
    this.#psks = options.psks;
    this.#log = options.log.child({ network: options.network });
    this.#items = options.tcp.tap ? "frames" : "packets";
    this.#peer = new LinkPeer(options.tcp, options.virtualIp, Date.now());
    const { pingMs = 5_000, deadMs = 15_000 } = options;
    this.#ends = new LinkEnds({
      hello: () => this.#hello(),
      key: signingKey(options.nodeSeed),
      pingMs,
      deadMs,
      nodeKey: () => this.#peer.nodeKey,
      events: {
        onUse: (living) => this.#use(living),
        onItems: (items, data, ends) => {
          if (this.#peer.wantsAddress) this.#learn(data.subarray(0, ends[0] ?? 0));
          this.#port?.write(data, ends, items);
        },
        onPeer: (peer) => this.#met(peer),
        onIdentity: (nodeKey) => this.#identified(nodeKey),
        onControl: (data) => this.#onControl(data),
        onDrain: () => this.#port?.resume(),
        onLost: (living, reason) => this.#lost(living, reason),
        onThird: () => this.#counts.drop("second-connection"),
      },
    });
    if (!options.tcp.tap) {
      this.announce = (what) => {
        if (this.#announcements.set(what)) this.#tellAnnouncement();
      };
      this.announcements = () => this.#announced();
    }
  }

  async start(): Promise<void> {
    if (this.#way !== undefined || this.#stopped !== undefined) return;
    await this.#open(this.#tcp);
    const port = this.#options.port(this.#items);
    this.#port = port;
    this.#applyFilter();
    port.onPackets = (batch) => this.#send(batch);
    port.start();
    if (this.#tcp.role === "listen") this.#readiness.ready();
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

  view(): CarrierView {
    const { tls } = this.#tcp;
    const connection = this.#ends.living?.connection;
    const { traffic, ...counted } = this.#counts.view(this.#port?.counters(), connection?.leftOut ?? 0);
    const features = this.#port?.features();
    const crypto = tls ? `OpenSSL ${process.versions.openssl}` : "none";
    const buffers = { receiveBufferBytes: 0, sendBufferBytes: 0 };
    const peer = this.#peer.view(traffic, this.#options.mtu, connection?.rttSeconds);
    return {
      state: this.#state(),
      ...(this.#reason !== undefined && this.#state() !== "up" && { reason: this.#reason }),
      servers: [],
      peers: peer === undefined ? [] : [peer],
      ...counted,
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
    const epoch = this.#ends.living?.epoch;
    if (epoch === undefined || psks.some(({ id }) => id === epoch.id)) return;
    this.#ends.end({ code: "psk", message: "its PSK is accepted no more" });
  }

  async reconfigure({ tcp = this.#tcp, nodeName }: LiveSettings): Promise<void> {
    const had = this.#tcp;
    this.#nodeName = nodeName;
    const reason = { code: "changed", message: "the link's settings were changed" };
    if (had.role === tcp.role && had.address === tcp.address) {
      // The name is told at the beginning of a connection.
      this.#ends.end(reason);
      return;
    }
    await this.#close(reason);
    try {
      await this.#open(tcp);
    } catch (error) {
      await this.#open(had);
      throw error;
    }
    this.#tellState();
  }

  #announced(): AnnouncedPeer[] {
    const { heard } = this.#announcements;
    if (heard === undefined) return [];
    return [{ ...this.#peer.names, ...heard, up: this.#peer.isUp(heard.nodeKey) }];
  }

  setFilter(filter: EngineFilter): void {
    this.#filter = filter;
    this.#applyFilter();
  }

  async ping(virtualIp: string, timeoutSeconds: number): Promise<number> {
    const connection = this.#ends.living?.connection;
    if (connection !== undefined && connection.peer === undefined) {
      const hint = `measure with packets instead: ping ${virtualIp}`;
      throw new VpnError("failed", `${virtualIp} is not vpnd and answers no probes`, { hint });
    }
    return roundTrip(virtualIp, timeoutSeconds, (answered) => connection?.ping(answered));
  }

  #state(): CarrierView["state"] {
    if (this.#port === undefined) return "connecting";
    return this.#tcp.role === "listen" || this.#ends.living !== undefined ? "up" : "connecting";
  }

  async #open(tcp: TcpOptions): Promise<void> {
    const { virtualIp, makeSocket, resolve = resolveServer } = this.#options;
    const way = new LinkWay({
      tcp,
      virtualIp,
      psks: () => this.#psks,
      makeSocket,
      resolve,
      taken: () => this.#ends.living !== undefined,
      onCandidate: (candidate) => {
        if (candidate.cipher !== undefined) this.#counts.handshake("ok");
        return this.#ends.take(candidate);
      },
      onFailure: (endpoint, error) => this.#failed(endpoint, error),
      onDrop: (reason) => this.#counts.drop(reason),
    });
    this.#tcp = tcp;
    this.#peer.configure(tcp);
    await way.open();
    this.#way = way;
  }

  async #close(reason: Reason): Promise<void> {
    const closing = this.#way?.close();
    this.#way = undefined;
    this.#ends.close(reason);
    await closing;
  }

  async #stop(): Promise<void> {
    this.#announcements.stop();
    await this.#close({ code: "stopped", message: "the network was stopped" });
    await this.#port?.stop();
  }

  #send(batch: PacketBatch): void {
    const living = this.#ends.living;
    if (living === undefined) {
      this.#counts.unsent(batch);
      batch.release();
      return;
    }
    if (!living.connection.send(batch)) this.#port?.pause();
  }

  #hello(): LinkHello {
    const { virtualIp, mtu } = this.#options;
    const { tap } = this.#tcp;
    return {
      nonce: new Uint8Array(randomBytes(nonceBytes)),
      tap,
      supers: !tap,
      mtu,
      virtualIp: virtualIp.slice(0, virtualIp.indexOf("/")),
      name: this.#nodeName,
    };
  }

  #use(living: Living): void {
    this.#reason = undefined;
    const { endpoint, cipher, epoch } = living;
    this.#log.info({ endpoint, cipher }, "link is up");
    this.#readiness.ready();
    this.#change(() =>
      this.#peer.connected(
        { endpoint, ...(cipher !== undefined && { cipher }), ...(epoch && { pskEpoch: epoch.id }) },
        Date.now(),
      ),
    );
  }

  #met(peer: LinkHello): void {
    if (peer.supers && !this.#tcp.tap) this.#port?.choose("supers");
    this.#change(() => this.#peer.met(peer));
  }

  #identified(nodeKey: string): void {
    this.#peer.identified(nodeKey);
    this.#tellAnnouncement();
    this.onChange();
  }

  #tellAnnouncement(): void {
    const living = this.#ends.living;
    if (living?.connection.peer === undefined) return;
    const message = this.#announcements.message();
    if (message !== undefined) living.connection.tell(message);
  }

  #onControl(data: Uint8Array): void {
    const { nodeKey } = this.#peer;
    if (this.announce !== undefined && nodeKey !== undefined) this.#announcements.hear(nodeKey, data);
  }

  #learn(item: Uint8Array): void {
    this.#change(() => this.#peer.learn(item));
  }

  #lost({ connection, endpoint }: Living, reason: Reason): void {
    this.#counts.drop("too-big-for-frame", connection.leftOut);
    this.#port?.choose(this.#items);
    this.#port?.resume();
    this.#log.info({ endpoint, reason }, "link is down");
    this.#fail(reason);
  }

  #fail(reason: Reason): void {
    this.#reason = reason;
    this.#change(() => this.#peer.disconnected(reason, Date.now()));
  }

  #failed(endpoint: string, error: VpnError): void {
    const reason = reasonOf(error);
    // Who cannot even be reached ended no handshake.
    const shook = this.#tcp.role === "listen" || reason.code === "wrong-psk";
    if (this.#tcp.tls && shook) this.#counts.handshake(reason.code);
    if (this.#tcp.role === "listen") this.#log.warn({ endpoint, reason }, "link refused");
    if (this.#ends.living === undefined) this.#fail(reason);
  }

  #change(change: () => CarrierEvent[]): void {
    const events = change();
    if (this.#peer.address !== this.#filteredFor) this.#applyFilter();
    for (const event of events) this.onEvent(event);
    this.#tellState();
    this.onChange();
  }

  /** Rules for the other end hold for all that it sends, once its address is known. */
  #applyFilter(): void {
    const { address } = this.#peer;
    this.#filteredFor = address;
    const known = address === undefined ? [] : [address];
    if (this.#filter !== undefined) this.#port?.setFilter(linkFilter(this.#filter, ...known));
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
      message: tcpLinkText(this.#tcp),
    });
  }

  #mtuNotes(): string[] {
    const theirs = this.#ends.living?.connection.peer?.mtu;
    const { mtu } = this.#options;
    if (theirs === undefined || theirs === mtu) return [];
    return [`the other end's device has an MTU of ${theirs}, this one ${mtu}: give both the same with --mtu`];
  }
}
