/** A network whose packets go through a PostgreSQL, which keeps them (docs/postgres.md). */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Fault } from "../../../common/postgres/faults.js";
import { DatabaseLog } from "../../../common/postgres/log/database-log.js";
import { parsePostgresUrl } from "../../../common/postgres/url.js";
import { backoffMs } from "../../core/backoff.js";
import type { AnnouncedPeer, Carrier, CarrierEvent, CarrierView, LiveSettings } from "../../core/carrier.js";
import type { CarrierDrop } from "../../core/carrier-drops.js";
import type { EngineFilter } from "../../core/filter/engine-filter.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import type { PacketBatch, PacketPort } from "../../core/packet-port.js";
import { type Cursor, Nodes, type OtherRow } from "../../core/postgres/nodes.js";
import { Openings } from "../../core/postgres/openings.js";
import type { LogRules } from "../../core/postgres/options.js";
import type { Announcement } from "../../core/routes/announcement.js";
import { Readiness } from "../readiness.js";
import { roundTrip } from "../round-trip.js";
import { DatabaseSession } from "./database-session.js";
import type { LogPeer } from "./log-announcements.js";
import { LogPings } from "./log-pings.js";
import { LogRoutes } from "./log-routes.js";
import type { SessionOptions } from "./open-session.js";
import { peerNumber } from "./peer-number.js";
import { type PostgresCarrierOptions, sessionBasics } from "./postgres-carrier-options.js";
import { renewed, SessionFault } from "./session-faults.js";
import { sessionNotes } from "./session-notes.js";

const retry = { firstMs: 500, maxMs: 5_000 };
/** A session that lasted so long was a good one, milliseconds. */
const goodMs = 10_000;

export class PostgresCarrier implements Carrier {
  onChange: () => void = () => {};
  onEvent: (event: CarrierEvent) => void = () => {};
  readonly #options: PostgresCarrierOptions;
  readonly #log: Logger;
  readonly #nodes = new Nodes();
  readonly #stopping = new AbortController();
  readonly #servers: readonly string[];
  readonly #sessionOptions: Omit<SessionOptions, "rules" | "psk">;
  /** The preferred one first; empty: payloads are not encrypted. */
  #psks: readonly Uint8Array[];
  #openings: Openings;
  /** What the owner wants of the log, until it was said. */
  #rules: LogRules;
  #asked: LogRules;
  readonly #pings = new LogPings();
  readonly #routes: LogRoutes;
  readonly #drops = new Map<CarrierDrop, number>();
  #port: PacketPort | undefined;
  #filter: EngineFilter | undefined;
  #session: DatabaseSession | undefined;
  #fault: Fault | undefined;
  /** Of the last warning: the same one again and again says nothing new. */
  #toldCode: string | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #toldState: CarrierView["state"] | undefined;
  readonly #readiness = new Readiness();

  constructor(options: PostgresCarrierOptions) {
    this.#options = options;
    this.#log = options.log.child({ network: options.network });
    const address = parsePostgresUrl(options.postgres.url);
    this.#servers = address.servers;
    this.#psks = options.psks.map(({ psk }) => psk);
    this.#rules = options.postgres;
    this.#asked = options.postgres;
    const basics = sessionBasics(options, address);
    const { network } = basics;
    this.#openings = new Openings(network, this.#psks);
    this.#routes = new LogRoutes(network, options.nodeKey, this.#nodes, () => this.onChange());
    this.#sessionOptions = {
      ...basics,
      takes: (destination) => basics.takes(destination) || this.#routes.offers(destination),
      nodes: this.#nodes,
      events: {
        onRoom: () => this.#port?.resume(),
        onUnknown: (packets) => this.#count("no-such-peer", packets),
        onItems: (data, ends) => this.#port?.write(data, ends, "supers"),
        onControl: (node, session, message) => this.#control({ node, session }, message),
        onRefused: (reason, rows) => this.#count(reason, rows),
        onOthers: (rows) => this.#others(rows),
      },
    };
  }

  async start(): Promise<void> {
    if (this.#port !== undefined || this.#stopped !== undefined) return;
    const port = this.#options.port("supers");
    this.#port = port;
    if (this.#filter !== undefined) port.setFilter(this.#filter);
    port.onPackets = (batch) => this.#send(port, batch);
    // Until there is somewhere to put packets the device keeps them.
    port.pause();
    port.start();
    this.#running = this.#run();
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
    const counters = this.#port?.counters() ?? emptyCounters();
    const drops: Record<string, number> = { ...counters.drops };
    for (const [reason, count] of this.#drops) drops[reason] = count;
    const features = this.#port?.features();
    const session = this.#session;
    const up = session !== undefined;
    const fault = this.#fault;
    const buffers = { receiveBufferBytes: 0, sendBufferBytes: 0 };
    return {
      state: up ? "up" : "connecting",
      ...(!up && fault !== undefined && { reason: { code: fault.code, message: fault.message } }),
      servers: this.#servers.map((address) => ({ address, state: up ? "up" : "silent" })),
      peers: this.#nodes.views(this.#options.mtu, session?.endpoint),
      counters: { ...counters, drops },
      unknownDestinations: [],
      ciphers: session?.cipher === undefined ? [] : [session.cipher],
      ...(features !== undefined && {
        features: { ...features, ...buffers, crypto: session?.cipher === undefined ? "none" : "TLS" },
      }),
      notes: sessionNotes(session, [
        ...(this.#options.postgres.fast ? ["this node"] : []),
        ...this.#nodes.fast(),
      ]),
    };
  }

  async forgetPeer(): Promise<boolean> {
    return false;
  }

  /** Sources of packets are those of their senders: the reader of the log sees to that. */
  setFilter(filter: EngineFilter): void {
    this.#filter = filter;
    this.#port?.setFilter(filter);
  }

  announce(what: Announcement): void {
    if (this.#routes.offer(what)) this.#tellAnnouncement();
  }

  announcements(): AnnouncedPeer[] {
    return this.#routes.heard();
  }

  setRoutes(routes: ReadonlyMap<string, readonly string[]>): void {
    this.#routes.accept(routes);
  }

  setPsks(psks: readonly PskEpoch[]): void {
    this.#psks = psks.map(({ psk }) => psk);
    this.#openings = new Openings(this.#sessionOptions.network, this.#psks);
    this.#renew();
  }

  async reconfigure({ postgres: rules = {} }: LiveSettings): Promise<void> {
    if (sameRules(rules, this.#asked)) return;
    if (this.#session === undefined) {
      throw new VpnError("failed", "the database is not reached, so nothing can be changed in it", {
        hint: "see why: vpnctl network",
      });
    }
    await this.#session.keep(rules);
    const renews = rules.log !== this.#asked.log;
    this.#asked = rules;
    // Which payloads are kept is decided when a session begins.
    if (renews) this.#renew();
  }

  ping(virtualIp: string, timeoutSeconds: number): Promise<number> {
    const node = this.#nodes.idOf(virtualIp);
    const session = this.#session;
    return roundTrip(virtualIp, timeoutSeconds, (answered) => {
      if (node === undefined || session === undefined) return undefined;
      return this.#pings.ask(node, (to, message) => session.writer.control(to, message), answered);
    });
  }

  /** The network's name in the database. */
  get networkInDatabase(): string {
    return this.#sessionOptions.network;
  }

  /** A connection of its own, for questions to the log. @throws as `connectDatabase` */
  async openLog(signal: AbortSignal): Promise<DatabaseLog> {
    const { connect, network } = this.#sessionOptions;
    const options = { ...connect, applicationName: `vpnd ${network} log` };
    return DatabaseLog.open(options, this.#psks, signal);
  }

  /** Numbers in the database. @param peer name or virtual IP @throws VpnError when there is no such peer, or no session */
  between(peer: string): { sender: number; receiver: number } {
    const receiver = peerNumber(peer, this.#nodes);
    const sender = this.#session?.node;
    if (sender === undefined) throw unreached();
    return { sender, receiver };
  }

  /** Sends items as if the device had given them. Resolves when there is room for more. @throws VpnError `failed` without a session */
  async inject(data: Uint8Array, ends: Uint32Array): Promise<void> {
    const session = this.#session;
    if (session === undefined) throw unreached();
    if (!session.writer.send({ data, ends, items: "supers", release: () => {} }))
      await session.writer.flush();
  }

  #renew(): void {
    this.#port?.pause();
    void this.#session?.renew();
  }

  #send(port: PacketPort, batch: PacketBatch): void {
    const session = this.#session;
    if (session === undefined) {
      // It was under way when the session ended.
      this.#count("not-connected", batch.ends.length);
      batch.release();
    } else if (!session.writer.send(batch)) {
      port.pause();
    }
  }

  /** Again and again, until it is stopped. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      const began = performance.now();
      const fault = await this.#attempt(signal);
      if (signal.aborted) return;
      if (fault === renewed) {
        this.#session = undefined;
        this.#port?.pause();
        continue;
      }
      failures = performance.now() - began > goodMs ? 1 : failures + 1;
      this.#failed(fault);
      const wait = backoffMs(retry, failures, Math.random());
      await delay(wait, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Resolves when the session is over, or there is none. */
  async #attempt(signal: AbortSignal): Promise<Fault> {
    let session: DatabaseSession;
    try {
      const rules = this.#rules;
      session = await DatabaseSession.open({ ...this.#sessionOptions, rules, psk: this.#psks[0] }, signal);
      // Once: said again and again, two owners who want different things would never come to rest.
      if (rules === this.#rules) this.#rules = {};
    } catch (error) {
      if (error instanceof SessionFault) return error.fault;
      return { code: "failed", message: VpnError.from(error).message, lasting: false };
    }
    if (signal.aborted) {
      await session.close();
      return session.ended();
    }
    const { endpoint, cipher } = session;
    this.#session = session;
    this.#fault = undefined;
    this.#toldCode = undefined;
    this.#log.info({ endpoint, cipher }, "database is connected");
    this.#tell(this.#nodes.reached(undefined, Date.now()));
    this.#tellAnnouncement();
    this.#readiness.ready();
    this.#port?.resume();
    return session.ended();
  }

  #failed(fault: Fault): void {
    const wasUp = this.#session !== undefined;
    this.#session = undefined;
    this.#fault = fault;
    this.#port?.pause();
    const { code, message, hint, lasting } = fault;
    const reason = { code, message };
    if (wasUp || reason.code !== this.#toldCode) this.#log.warn({ reason }, "packets wait for the database");
    this.#toldCode = reason.code;
    if (lasting) {
      const kind = code === "conflict" ? "conflict" : "failed";
      this.#readiness.failed(new VpnError(kind, message, hint === undefined ? {} : { hint }));
    }
    this.#tell(this.#nodes.reached(reason, Date.now()));
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(new VpnError("cancelled", "the network was stopped"));
    const session = this.#session;
    this.#port?.pause();
    await session?.close();
    await this.#running;
    await this.#port?.stop();
    this.#routes.stop();
  }

  #others(rows: readonly OtherRow[]): readonly Cursor[] {
    const { unread, events } = this.#nodes.update(rows, this.#openings, Date.now());
    this.#tell(events);
    this.#tellAnnouncement();
    return unread;
  }

  readonly #say = (node: number, message: Uint8Array): void => this.#session?.writer.control(node, message);

  #control(peer: LogPeer, message: Uint8Array): void {
    const rttSeconds = this.#pings.heard(peer.node, message, this.#say);
    if (rttSeconds !== undefined) this.#nodes.measured(peer.node, rttSeconds);
    else this.#routes.hear(peer, message, this.#say);
  }

  #tellAnnouncement(): void {
    const session = this.#session;
    if (session !== undefined) this.#routes.tell(session.id, this.#say);
  }

  #tell(events: readonly CarrierEvent[]): void {
    for (const event of events) this.onEvent(event);
    this.#tellState();
    this.onChange();
  }

  #tellState(): void {
    const state = this.#session === undefined ? "connecting" : "up";
    if (state === this.#toldState) return;
    this.#toldState = state;
    const { code, message } = this.#fault ?? {};
    this.onEvent({
      type: state === "up" ? "up" : "down",
      state,
      ...(state !== "up" && code !== undefined && message !== undefined && { reason: { code, message } }),
      message: `packets go through ${this.#servers.join(", ")}`,
    });
  }

  #count(what: CarrierDrop, count: number): void {
    this.#drops.set(what, (this.#drops.get(what) ?? 0) + count);
  }
}

const sameRules = (a: LogRules, b: LogRules): boolean =>
  a.retentionSeconds === b.retentionSeconds && a.maxBytes === b.maxBytes && a.log === b.log;

const unreached = (): VpnError =>
  new VpnError("failed", "the database is not reached", { hint: "see why: vpnctl network" });

const emptyCounters = () => ({ rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: {} });
