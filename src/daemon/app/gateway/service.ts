/** A gateway that runs: who is let in, and who gets which addresses and which device. What has the connections are stations. */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import type { GatewayHello } from "../../../common/gateway/hello.js";
import type { Reason } from "../../core/carrier.js";
import type { EngineCounters } from "../../core/engine.js";
import { AddressPlan } from "../../core/gateway/addresses.js";
import { Leases, type Taken } from "../../core/gateway/leases.js";
import type { GatewayOptions } from "../../core/gateway/options.js";
import { destinationsOf } from "../../core/gateway/reach.js";
import { makeResumeToken, nonceBytes, readResumeToken } from "../../core/gateway/resume-token.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import { closeCodes } from "../../io/gateway/channel.js";
import { type Knock, listenOn } from "../../io/gateway/server.js";
import type { TlsFiles } from "../../io/gateway/tls-files.js";
import { Certificate } from "./certificate.js";
import { type Client, type ClientView, viewOf } from "./client.js";
import { keepAliveMs } from "./pace.js";
import type { GatewayPlatform } from "./platform.js";
import { sharedDevice, sharedSlots } from "./shared-slots.js";
import { SlotQueue } from "./slot-queue.js";
import { type SlotDevices, Slots } from "./slots.js";
import type { ControlCalls, Farewell, Grant, Verdict } from "./station-calls.js";
import { Stations } from "./stations.js";

export interface ServiceParts {
  options: GatewayOptions;
  resumeKey: Uint8Array;
  platform: GatewayPlatform;
  /** Absent: without TLS. */
  tls?: TlsFiles;
  /** Prefixes of the network that clients get to; absent: none. */
  into?: readonly string[];
  /** Who comes with this token; "none" where tokens are not asked for. */
  userOf: (token: string) => GatewayUser | "none" | "unknown" | "expired" | "used-up";
  /** A client of the user moved so many bytes. @returns whether there is something left of the quota */
  spend: (user: GatewayUser, bytes: number) => boolean;
  log: Logger;
  onChange: () => void;
}

/** So many devices are made ahead of clients. */
const madeAhead = 8;
const tickMs = 1_000;
/** Names of clients come from the network. */
const longestName = 63;
const connectedAgain: Farewell = { code: closeCodes.policy, text: "connected again" };
const quotaIsOver: Farewell = { code: closeCodes.quota, text: "the quota is used up" };
const timeIsOver: Farewell = { code: closeCodes.normal, text: "" };

export class GatewayService {
  readonly #parts: ServiceParts;
  readonly #plan: AddressPlan;
  readonly #leases: Leases;
  readonly #group: number;
  readonly #stations: Stations;
  readonly #slots: SlotDevices;
  readonly #queue = new SlotQueue();
  /** By id; also those that are away, whose devices their station keeps. */
  readonly #clients = new Map<number, Client>();
  readonly #bySlot = new Map<number, Client>();
  readonly #refused = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #certificate: Certificate | undefined;
  #nextId = 0;
  #stopped = false;

  /** Devices and port. @throws VpnError when the port cannot be had, or a device cannot be made; nothing is left then */
  static async start(parts: ServiceParts): Promise<GatewayService> {
    const service = new GatewayService(parts);
    try {
      await service.#open();
      return service;
    } catch (error) {
      await service.stop();
      throw VpnError.from(error, "failed");
    }
  }

  private constructor(parts: ServiceParts) {
    const { options, platform } = parts;
    this.#parts = parts;
    this.#plan = new AddressPlan(options.subnets);
    this.#leases = new Leases(options.maxClients, options.keepSeconds * 1000);
    this.#group = (randomBytes(4).readUInt32BE() % 0x7fff_0000) + 1;
    const endpoint = parseEndpoint(options.listen);
    if (endpoint === undefined) throw new VpnError("internal", `${options.listen} is no endpoint`);
    const { mtu, padding, anySource } = options;
    const shared = options.isolation === "shared";
    const setup = {
      destinations: destinationsOf(options, parts.into),
      ...{ mtu, padding, anySource },
      ...(shared && { sharedFd: this.#openShared() }),
    };
    this.#stations = new Stations({
      workers: options.workers,
      setup,
      platform,
      calls: (station) => this.#calls(station),
      listen: (shared) => listenOn((socket) => platform.makeSocket(socket), endpoint, shared),
      tls: () => this.#certificate?.pair,
      onLost: (station) => this.#lost(station),
      log: parts.log,
    });
    this.#slots = shared
      ? sharedSlots
      : new Slots({
          plan: this.#plan,
          mtu: options.mtu,
          group: this.#group,
          openDevice: (device) => platform.openClientDevice(device),
          closeFd: (fd) => platform.closeFd(fd),
        });
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  async clients(): Promise<ClientView[]> {
    const measured = new Map((await this.#stations.measure()).map((one) => [one.id, one]));
    return [...this.#clients.values()]
      .map((client) => viewOf(client, this.#plan, this.#slots.nameOf(client.slot), measured.get(client.id)))
      .sort((a, b) => Number(a.state === "away") - Number(b.state === "away"));
  }

  /** Connections that were not served, by reason. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** How many connections a user has. */
  connections(user: string): number {
    return [...this.#clients.values()].filter((one) => one.user === user && one.state === "up").length;
  }

  /** How many devices there are: those of clients, and those that wait for some. */
  get devices(): number {
    return this.#slots.count(this.#clients.size);
  }

  responds(): boolean {
    return this.#stations.responds();
  }

  /** Closes the connections that the condition holds for; nothing is kept for them. @returns how many */
  async kick(
    chosen: (client: Client, addresses: readonly string[]) => boolean,
    farewell: Farewell,
  ): Promise<number> {
    const kicked = [...this.#clients.values()].filter((one) => chosen(one, this.#plan.at(one.slot).client));
    for (const { slot, id } of kicked) this.#leases.drop(slot, id);
    await this.#recycle(kicked, farewell);
    if (kicked.length > 0) this.#parts.onChange();
    return kicked.length;
  }

  /** Says goodbye to clients and removes the devices. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#meter().catch(() => {});
    await this.#stations.close({ code: closeCodes.goingAway, text: "the gateway is stopping" });
    this.#clients.clear();
    this.#bySlot.clear();
    try {
      this.#parts.platform.deleteClientDevices(this.#group);
    } catch (error) {
      // They end with their descriptors, if not all at once.
      this.#parts.log.warn({ err: error }, "devices of gateway clients are removed one by one");
    }
    await this.#stations.end();
    this.#slots.close();
  }

  #openShared(): number {
    const { mtu } = this.#parts.options;
    const addresses = this.#plan.whole;
    return this.#parts.platform.openClientDevice({ name: sharedDevice, mtu, group: this.#group, addresses })
      .fd;
  }

  async #open(): Promise<void> {
    const { tls } = this.#parts;
    this.#makeAhead();
    if (tls !== undefined) this.#certificate = await Certificate.load(tls);
    await this.#stations.open();
  }

  #calls(station: number): ControlCalls {
    return {
      admit: (knock) => this.#admit(knock, station),
      ended: (id, reason, kept) => this.#ended(id, reason, kept),
      refused: (why) => this.#count(why),
    };
  }

  async #admit(knock: Knock, station: number): Promise<Verdict> {
    const { options, userOf, resumeKey, log } = this.#parts;
    const refuse = (status: 401 | 404 | 426 | 429, why: string): Verdict => {
      this.#count(why);
      log.debug({ remote: knock.remote, why }, "gateway connection refused");
      return { refuse: status };
    };
    if (knock.path !== options.path && !options.fanqiang) return refuse(404, "wrong-path");
    const found = userOf(knock.token);
    if (found === "unknown") return refuse(401, knock.token === "" ? "no-token" : "wrong-token");
    if (found === "expired") return refuse(401, "expired-token");
    if (found === "used-up") return refuse(429, "quota");
    if (!knock.own && !options.fanqiang) return refuse(426, "other-protocol");
    const user = found === "none" ? undefined : found;
    const whose = user?.name ?? "";
    this.#nextId += 1;
    const id = this.#nextId;
    const wanted = readResumeToken(resumeKey, whose, knock.resume);
    const taken = this.#stopped
      ? undefined
      : this.#leases.take(whose, id, wanted, randomBytes(nonceBytes).toString("hex"), knock.returns);
    if (taken === undefined) return this.#turnAway("full", "no room for another client");
    return this.#queue.run([taken.slot], () => this.#give(id, knock, user, { ...taken, station }));
  }

  #turnAway(why: string, text: string): Verdict {
    this.#count(why);
    return { close: { code: closeCodes.tryLater, text } };
  }

  /** The slot's device and addresses for who knocked. */
  async #give(
    id: number,
    knock: Knock,
    user: GatewayUser | undefined,
    taken: Taken & { station: number },
  ): Promise<Verdict> {
    const { options, log, onChange } = this.#parts;
    const { slot, resumed, station } = taken;
    const whose = user?.name ?? "";
    // Whoever had the slot: the same client's old connection, or somebody who is away and has to give way.
    const before = this.#bySlot.get(slot);
    try {
      const left = before && (await this.#takeBack(before, connectedAgain));
      if (before !== undefined && !resumed) this.#forgetFlows([slot]);
      const fd = left ?? this.#slots.take(slot);
      const name = knock.name.replace(/[^A-Za-z0-9._-]/g, "").slice(0, longestName);
      const { remote, own } = knock;
      const known = { id, slot, user: whose, name, remote, foreign: !own };
      const client: Client = { ...known, station, since: Date.now(), state: "up" };
      if (user?.quota !== undefined) client.metered = { user, counted: 0 };
      this.#clients.set(id, client);
      this.#bySlot.set(slot, client);
      log.info({ user: whose, remote, slot, resumed, worker: station }, "gateway client connected");
      if (options.maxClients > this.#leases.used) setImmediate(() => this.#makeAhead());
      onChange();
      return { grant: this.#grant(client, fd, user, taken) };
    } catch (error) {
      log.error({ err: error, slot }, "a gateway client cannot be served");
      // There may be something about this very slot: the next client gets another.
      this.#leases.release(slot, id, performance.now());
      return this.#turnAway("no-device", "no device for another client");
    }
  }

  #grant(
    { id, slot, foreign }: Client,
    fd: number | undefined,
    user: GatewayUser | undefined,
    taken: Taken,
  ): Grant {
    const { options, resumeKey } = this.#parts;
    const { client, gateway } = this.#plan.at(slot);
    const gateways = options.isolation === "shared" ? this.#plan.whole : gateway;
    const hello: GatewayHello = {
      addresses: client,
      gateways: gateways.map((text) => text.slice(0, text.indexOf("/"))),
      mtu: options.mtu,
      dns: options.dns,
      routes: this.#routes(client),
      resume: makeResumeToken(resumeKey, user?.name ?? "", taken),
      keepAliveSeconds: keepAliveMs / 1000,
    };
    const sources = client.map(hostPrefix);
    const rate = user?.rate;
    return {
      ...{ id, sources, hello, foreign },
      ...(fd !== undefined && { fd }),
      ...(rate !== undefined && { rate }),
    };
  }

  /** What a client with these addresses reaches. */
  #routes(client: readonly string[]): string[] {
    const { options, into = [] } = this.#parts;
    const all = client.map((text) => (text.includes(":") ? "::/0" : "0.0.0.0/0"));
    return [...(options.internet ? all : []), ...into];
  }

  /** The client went, or was lost; its addresses wait for it for a while, unless it never came so far. */
  #ended(id: number, reason: Reason, kept: boolean): void {
    const client = this.#clients.get(id);
    if (client === undefined || client.state === "away") return;
    const { slot, user, remote } = client;
    client.state = "away";
    this.#parts.log.info({ user, remote, slot, reason }, "gateway client is gone");
    if (kept) this.#leases.release(slot, id, performance.now());
    else {
      this.#leases.drop(slot, id);
      this.#inBackground(this.#recycle([client], timeIsOver));
    }
    this.#parts.onChange();
  }

  /** All that a station had is gone; its clients come back to the others, or to the next. */
  #lost(station: number): void {
    const reason: Reason = { code: "failed", message: "a thread of the gateway broke down" };
    for (const client of this.#clients.values())
      if (client.station === station) this.#ended(client.id, reason, true);
  }

  #tick(): void {
    const slots = this.#leases.expire(performance.now());
    const over = slots.flatMap((slot) => this.#bySlot.get(slot) ?? []);
    this.#inBackground(this.#recycle(over, timeIsOver));
    this.#inBackground(this.#renewTls());
    this.#inBackground(this.#meter());
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#parts.log.error({ err: error }, "the gateway ran into a fault of its own");
    });
  }

  /** Counts what clients of users with quotas moved, and says goodbye to those who have nothing left. */
  async #meter(): Promise<void> {
    const metered = [...this.#clients.values()].filter((one) => one.metered !== undefined);
    if (metered.length === 0) return;
    for (const { id, counters } of await this.#stations.measure()) {
      const client = this.#clients.get(id);
      if (client !== undefined) this.#spend(client, counters);
    }
    const over = new Set(
      metered.filter((one) => one.state === "up" && !this.#spend(one)).map((one) => one.user),
    );
    if (over.size > 0) await this.kick((one) => over.has(one.user), quotaIsOver);
  }

  /** @param counters absent: as before @returns whether there is something left for the client's user */
  #spend({ metered }: Client, counters?: EngineCounters): boolean {
    if (metered === undefined) return true;
    const counted = counters === undefined ? 0 : counters.rxBytes + counters.txBytes;
    // Answers may come late, after others.
    const bytes = Math.max(metered.counted, counted);
    const more = bytes - metered.counted;
    metered.counted = bytes;
    return this.#parts.spend(metered.user, more);
  }

  /** Takes over a renewed certificate; what cannot be used leaves the old one in force. */
  async #renewTls(): Promise<void> {
    const { log } = this.#parts;
    const certificate = this.#certificate;
    try {
      if (certificate === undefined || !(await certificate.look()) || this.#stopped) return;
      await this.#stations.renew(certificate.pair);
      log.info({ cert: certificate.files.cert }, "the gateway has another certificate");
    } catch (error) {
      log.error({ err: error }, "the gateway goes on with the certificate that it had");
    }
  }

  /** Their slots are for others: nothing of what was for them may reach these. */
  #recycle(clients: readonly Client[], farewell: Farewell): Promise<void> {
    const slots = clients.map(({ slot }) => slot);
    if (slots.length === 0) return Promise.resolve();
    return this.#queue.run(slots, async () => {
      // Meanwhile another may have taken one of them over.
      const left = clients.filter(({ id }) => this.#clients.has(id));
      const back = left.map(async (client) => {
        const fd = await this.#takeBack(client, farewell);
        if (fd !== undefined) this.#slots.giveBack(client.slot, fd);
      });
      await Promise.all(back);
      this.#forgetFlows(left.map(({ slot }) => slot));
    });
  }

  /** The client is none any more. @returns its device */
  async #takeBack(client: Client, farewell: Farewell): Promise<number | undefined> {
    const { id, slot, station } = client;
    this.#clients.delete(id);
    if (this.#bySlot.get(slot)?.id === id) this.#bySlot.delete(slot);
    const { fd, counters } = await this.#stations.release(station, id, farewell);
    if (counters !== undefined) this.#spend(client, counters);
    return fd;
  }

  #forgetFlows(slots: readonly number[]): void {
    if (slots.length === 0) return;
    try {
      this.#parts.platform.forgetFlows(slots.flatMap((slot) => this.#plan.at(slot).client.map(hostPrefix)));
    } catch (error) {
      this.#parts.log.warn({ err: error }, "flows of former gateway clients could not be ended");
    }
  }

  #makeAhead(): void {
    if (this.#stopped) return;
    let left = madeAhead;
    for (let slot = 0; slot < this.#parts.options.maxClients && left > 0; slot++) {
      if (this.#leases.isTaken(slot) || this.#bySlot.has(slot)) continue;
      left -= 1;
      this.#slots.prepare(slot);
    }
  }

  #count(why: string): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1);
  }
}

/** "10.91.0.2/30" is the host 10.91.0.2/32. */
const hostPrefix = (cidr: string): string =>
  `${cidr.slice(0, cidr.indexOf("/"))}/${cidr.includes(":") ? 128 : 32}`;
