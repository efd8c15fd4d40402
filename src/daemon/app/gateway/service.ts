/**
 * A gateway that runs: its clients from their knock to their end. Who is let in is `Admission`'s; which slot has which device,
 * `SlotKeeper`'s; connections and packets are the stations'.
 */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import type { Reason } from "../../core/carrier.js";
import { AddressPlan } from "../../core/gateway/addresses.js";
import { Leases } from "../../core/gateway/leases.js";
import type { GatewayOptions } from "../../core/gateway/options.js";
import { destinationsOf } from "../../core/gateway/reach.js";
import { closeCodes } from "../../io/gateway/channel.js";
import { type Knock, listenOn } from "../../io/gateway/server.js";
import type { TlsFiles } from "../../io/gateway/tls-files.js";
import { Admission, type AdmissionParts, type Welcome } from "./admission.js";
import { Certificate } from "./certificate.js";
import { type Client, type ClientView, viewOf } from "./client.js";
import { Clients } from "./clients.js";
import { makeGrant } from "./grant.js";
import { Metering, type MeteringParts } from "./metering.js";
import type { GatewayPlatform } from "./platform.js";
import { SharedSlots, sharedDevice } from "./shared-slots.js";
import { SlotKeeper } from "./slot-keeper.js";
import { type SlotDevices, Slots } from "./slots.js";
import type { ControlCalls, Farewell, StationSetup, Verdict } from "./station-calls.js";
import { Stations } from "./stations.js";

export interface ServiceParts extends Pick<AdmissionParts, "userOf">, Pick<MeteringParts, "spend"> {
  options: GatewayOptions;
  resumeKey: Uint8Array;
  platform: GatewayPlatform;
  /** Whether a user who came in may go on. */
  mayStay: (user: string) => boolean;
  /** Absent: without TLS. */
  tls?: TlsFiles;
  /** Prefixes of the network that clients get to; absent: none. */
  into?: readonly string[];
  /** IPv6 of clients gets anywhere. */
  six: boolean;
  log: Logger;
  onChange: () => void;
}

const tickMs = 1_000;
/** Names of clients come from the network. */
const longestName = 63;
const connectedAgain: Farewell = { code: closeCodes.policy, text: "connected again" };
const quotaIsOver: Farewell = { code: closeCodes.quota, text: "the quota is used up" };
const tokenIsOver: Farewell = { code: closeCodes.policy, text: "the token is good no longer" };
const timeIsOver: Farewell = { code: closeCodes.normal, text: "" };

export class GatewayService {
  readonly #parts: ServiceParts;
  readonly #plan: AddressPlan;
  readonly #leases: Leases;
  /** By which the kernel knows all devices of this gateway. */
  readonly #group = (randomBytes(4).readUInt32BE() % 0x7fff_0000) + 1;
  readonly #clients = new Clients();
  readonly #admission: Admission;
  readonly #stations: Stations;
  readonly #devices: SlotDevices;
  readonly #slots: SlotKeeper;
  readonly #metering: Metering;
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
    const { options, platform, log } = parts;
    this.#parts = parts;
    this.#plan = new AddressPlan(options.subnets);
    this.#leases = new Leases(options.maxClients, options.keepSeconds * 1000);
    this.#admission = new Admission({ ...parts, leases: this.#leases });
    const endpoint = parseEndpoint(options.listen);
    if (endpoint === undefined) throw new VpnError("internal", `${options.listen} is no endpoint`);
    this.#stations = new Stations({
      workers: options.workers,
      setup: this.#stationSetup(),
      platform,
      calls: (station) => this.#calls(station),
      listen: (shared) => listenOn((socket) => platform.makeSocket(socket), endpoint, shared),
      tls: () => this.#certificate?.pair,
      onLost: (station) => this.#lost(station),
      log,
    });
    const devices = { plan: this.#plan, mtu: options.mtu, group: this.#group, platform };
    this.#devices = options.isolation === "shared" ? new SharedSlots(devices) : new Slots(devices);
    this.#metering = new Metering({
      clients: this.#clients,
      measure: () => this.#stations.measure(),
      limit: (station, limits) => this.#stations.limit(station, limits),
      spend: parts.spend,
    });
    this.#slots = new SlotKeeper({
      plan: this.#plan,
      count: options.maxClients,
      devices: this.#devices,
      clients: this.#clients,
      isTaken: (slot) => this.#leases.isTaken(slot),
      release: (...client) => this.#stations.release(...client),
      onReleased: (client, { counters }) => {
        if (counters !== undefined) this.#metering.spend(client, counters);
      },
      forgetFlows: (sources) => platform.forgetFlows(sources),
      log,
    });
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  /** Those that are away come last. */
  async clients(): Promise<ClientView[]> {
    const measured = new Map((await this.#stations.measure()).map((one) => [one.id, one]));
    return this.#clients
      .all()
      .map((client) => viewOf(client, this.#plan, this.#devices.nameOf(client.slot), measured.get(client.id)))
      .sort((a, b) => Number(a.state === "away") - Number(b.state === "away"));
  }

  /** Connections that were not served, by reason. */
  get refused(): ReadonlyMap<string, number> {
    return this.#admission.refused;
  }

  /** Packets of a shared device that went to no client, by reason. */
  strays(): Promise<Readonly<Record<string, number>>> {
    return this.#stations.strays();
  }

  /** How many connections a user has. */
  connections(user: string): number {
    return this.#clients.all().filter((one) => one.user === user && one.state === "up").length;
  }

  /** How many devices there are: those of clients, and those that wait for some. */
  get devices(): number {
    return this.#devices.count(this.#clients.size);
  }

  responds(): boolean {
    return this.#stations.responds();
  }

  /** Closes the connections that the condition holds for; nothing is kept for them. @returns how many */
  async kick(
    chosen: (client: Client, addresses: readonly string[]) => boolean,
    farewell: Farewell,
  ): Promise<number> {
    const kicked = this.#clients.all().filter((one) => chosen(one, this.#plan.at(one.slot).client));
    for (const { slot, id } of kicked) this.#leases.drop(slot, id);
    await this.#slots.recycle(kicked, farewell);
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
    try {
      this.#parts.platform.deleteClientDevices(this.#group);
    } catch (error) {
      // They end with their descriptors, if not all at once.
      this.#parts.log.warn({ err: error }, "devices of gateway clients are removed one by one");
    }
    await this.#stations.end();
    this.#devices.close();
  }

  #stationSetup(): StationSetup {
    const { options, into } = this.#parts;
    const { mtu, padding, anySource, isolation } = options;
    const destinations = destinationsOf(options, into);
    return { destinations, mtu, padding, anySource, ...(isolation === "shared" && { sharedDevice }) };
  }

  async #open(): Promise<void> {
    const { tls, options } = this.#parts;
    this.#slots.forgetFormer(options.subnets);
    this.#makeAhead();
    if (tls !== undefined) this.#certificate = await Certificate.load(tls);
    await this.#stations.open();
  }

  #calls(station: number): ControlCalls {
    return {
      admit: (knock) => this.#admit(knock, station),
      ended: (id, reason, kept) => this.#ended(id, reason, kept),
      refused: (why) => this.#admission.count(why),
    };
  }

  async #admit(knock: Knock, station: number): Promise<Verdict> {
    this.#nextId += 1;
    const id = this.#nextId;
    const verdict = this.#admission.judge(knock, id, this.#stopped);
    return "lease" in verdict ? this.#welcome(id, knock, verdict, station) : verdict;
  }

  /** The slot's device and addresses for who knocked. */
  async #welcome(id: number, knock: Knock, welcome: Welcome, station: number): Promise<Verdict> {
    const { user, lease } = welcome;
    const { slot, resumed } = lease;
    try {
      return await this.#slots.handOver(slot, resumed, connectedAgain, (fd) => {
        const limit = this.#metering.firstLimit(user);
        const client = this.#enter(id, knock, welcome, station);
        if (limit === 0) setImmediate(() => this.#inBackground(this.#meter()));
        return { grant: makeGrant({ ...this.#parts, plan: this.#plan }, client, fd, user, lease, limit) };
      });
    } catch (error) {
      this.#parts.log.error({ err: error, slot }, "a gateway client cannot be served");
      // There may be something about this very slot: the next client gets another.
      this.#leases.release(slot, id, performance.now());
      return this.#admission.turnAway("no-device", "no device for another client");
    }
  }

  #enter(id: number, knock: Knock, { user, lease }: Welcome, station: number): Client {
    const { options, log, onChange } = this.#parts;
    const { slot, resumed } = lease;
    const { remote, own } = knock;
    const client: Client = {
      ...{ id, slot, remote, station },
      user: user?.name ?? "",
      name: knock.name.replace(/[^A-Za-z0-9._-]/g, "").slice(0, longestName),
      foreign: !own,
      since: Date.now(),
      state: "up",
    };
    if (user?.quota !== undefined) client.metered = { user, counted: 0 };
    this.#clients.add(client);
    log.info({ user: client.user, remote, slot, resumed, worker: station }, "gateway client connected");
    if (options.maxClients > this.#leases.used) setImmediate(() => this.#makeAhead());
    onChange();
    return client;
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
      this.#inBackground(this.#slots.recycle([client], timeIsOver));
    }
    this.#parts.onChange();
  }

  /** All that a station had is gone; its clients come back to the others, or to the next. */
  #lost(station: number): void {
    const reason: Reason = { code: "failed", message: "a thread of the gateway broke down" };
    for (const client of this.#clients.all())
      if (client.station === station) this.#ended(client.id, reason, true);
  }

  #tick(): void {
    const slots = this.#leases.expire(performance.now());
    const over = slots.flatMap((slot) => this.#clients.at(slot) ?? []);
    this.#inBackground(this.#slots.recycle(over, timeIsOver));
    this.#inBackground(this.#meter());
    this.#inBackground(this.#dismiss());
    this.#inBackground(this.#certificate?.renew((pair) => this.#stations.renew(pair), this.#parts.log));
  }

  #inBackground(work: Promise<void> | undefined): void {
    work?.catch((error: unknown) => {
      this.#parts.log.error({ err: error }, "the gateway ran into a fault of its own");
    });
  }

  /** Says goodbye to those whose time is over, and to who came in while their token was being revoked. */
  async #dismiss(): Promise<void> {
    const gone = ({ user, state }: Client): boolean =>
      state === "up" && user !== "" && !this.#parts.mayStay(user);
    if (this.#clients.all().some(gone)) await this.kick(gone, tokenIsOver);
  }

  /** Says goodbye to those whose quota is used up. */
  async #meter(): Promise<void> {
    const over = await this.#metering.look();
    if (over.size > 0) await this.kick((one) => over.has(one.user), quotaIsOver);
  }

  #makeAhead(): void {
    if (!this.#stopped) this.#slots.makeAhead();
  }
}
