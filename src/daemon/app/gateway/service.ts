/** A gateway that runs: its port, its devices, and its clients. */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import type { WebSocket } from "ws";
import { parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import { ownCodec } from "../../../common/gateway/codec.js";
import { encodeGatewayHello } from "../../../common/gateway/hello.js";
import type { Reason } from "../../core/carrier.js";
import { AddressPlan } from "../../core/gateway/addresses.js";
import { closedDestinations } from "../../core/gateway/destinations.js";
import type { ClientBatch, PortHub } from "../../core/gateway/hub.js";
import { Leases } from "../../core/gateway/leases.js";
import type { GatewayOptions } from "../../core/gateway/options.js";
import { makeResumeToken, nonceBytes, readResumeToken } from "../../core/gateway/resume-token.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import { Channel, closeCodes } from "../../io/gateway/channel.js";
import { type Admission, GatewayServer, type Knock } from "../../io/gateway/server.js";
import { readTlsPair, stampOf, type TlsFiles } from "../../io/gateway/tls-files.js";
import type { GatewayPlatform } from "./platform.js";
import { Session } from "./session.js";
import { deviceOf, Slots } from "./slots.js";

export interface ServiceParts {
  options: GatewayOptions;
  resumeKey: Uint8Array;
  platform: GatewayPlatform;
  /** Absent: without TLS. */
  tls?: TlsFiles;
  /** Who comes with this token; "none" where tokens are not asked for. */
  userOf: (token: string) => GatewayUser | "none" | "unknown" | "expired";
  log: Logger;
  onChange: () => void;
}

/** A client, here or away. */
export interface ClientView {
  id: number;
  user: string;
  name: string;
  remote: string;
  device: string;
  /** CIDR. */
  addresses: string[];
  state: "up" | "away";
  /** Milliseconds since 1970. */
  since: number;
  rttSeconds?: number;
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  drops: Readonly<Record<string, number>>;
}

const keepAliveMs = 20_000;
const deadMs = 50_000;
/** So many devices are made ahead of clients. */
const madeAhead = 8;
const tickMs = 1_000;
/** Names of clients come from the network. */
const longestName = 63;

export class GatewayService {
  readonly #parts: ServiceParts;
  readonly #plan: AddressPlan;
  readonly #leases: Leases;
  readonly #group: number;
  readonly #hub: PortHub;
  readonly #slots: Slots;
  /** By id; also those that are away, whose devices the hub keeps. */
  readonly #sessions = new Map<number, Session>();
  readonly #away = new Map<number, Session>();
  readonly #refused = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #server: GatewayServer | undefined;
  #tlsStamp = "";
  #nextId = 0;
  #stopped = false;

  /** Devices and port. @throws VpnError when the port cannot be had, or a device cannot be made; nothing is left then */
  static async start(parts: ServiceParts): Promise<GatewayService> {
    const service = new GatewayService(parts);
    try {
      service.#makeAhead();
      const { listen } = parts.options;
      const endpoint = parseEndpoint(listen);
      if (endpoint === undefined) throw new VpnError("internal", `${listen} is no endpoint`);
      service.#hub.start();
      const { tls } = parts;
      const pair = tls && (await readTlsPair(tls));
      if (tls !== undefined) service.#tlsStamp = await stampOf(tls);
      service.#server = await GatewayServer.open({
        ...(pair !== undefined && { tls: pair }),
        make: (options) => parts.platform.makeSocket(options),
        listen: endpoint,
        admit: (knock) => service.#admit(knock),
        onRefused: (why) => service.#count(why),
      });
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
    const open = [...options.allow, ...(options.allowHost || options.allowClients ? options.subnets : [])];
    this.#hub = platform.createPortHub({ closed: closedDestinations, open });
    this.#hub.onBatch = (client, batch) => this.#send(client, batch);
    this.#slots = new Slots({
      plan: this.#plan,
      mtu: options.mtu,
      group: this.#group,
      openDevice: (device) => platform.openClientDevice(device),
      closeFd: (fd) => platform.closeFd(fd),
    });
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  clients(): ClientView[] {
    const view = (state: "up" | "away") => (session: Session) => this.#view(session, state);
    return [...[...this.#sessions.values()].map(view("up")), ...[...this.#away.values()].map(view("away"))];
  }

  /** Connections that were not served, by reason. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** Names of its devices: those of clients, and those that wait for some. */
  get devices(): number {
    return this.#sessions.size + this.#away.size + this.#slots.ready;
  }

  responds(): boolean {
    return this.#hub.responds();
  }

  /** Closes the connections that the condition holds for; nothing is kept for them. @returns how many */
  kick(chosen: (client: ClientView) => boolean, text: string): number {
    const ids = new Set(
      this.clients()
        .filter(chosen)
        .map(({ id }) => id),
    );
    const kicked = [...this.#sessions.values(), ...this.#away.values()].filter(({ about }) =>
      ids.has(about.id),
    );
    for (const session of kicked) {
      session.close(closeCodes.policy, text);
      this.#leave(session);
      this.#leases.drop(session.about.slot);
    }
    this.#recycle(kicked);
    if (kicked.length > 0) this.#parts.onChange();
    return kicked.length;
  }

  /** Says goodbye to clients and removes the devices. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const session of this.#sessions.values())
      session.close(closeCodes.goingAway, "the gateway is stopping");
    await this.#server?.close();
    this.#sessions.clear();
    this.#away.clear();
    try {
      this.#parts.platform.deleteClientDevices(this.#group);
    } catch (error) {
      // They end with their descriptors, if not all at once.
      this.#parts.log.warn({ err: error }, "devices of gateway clients are removed one by one");
    }
    this.#hub.stop();
    this.#slots.close();
  }

  #admit(knock: Knock): Admission {
    const { options, userOf, log } = this.#parts;
    const refuse = (status: 401 | 404 | 426, why: string): Admission => {
      this.#count(why);
      log.debug({ remote: knock.remote, why }, "gateway connection refused");
      return { refuse: status };
    };
    if (knock.path !== options.path) return refuse(404, "wrong-path");
    const user = userOf(knock.token);
    if (user === "unknown") return refuse(401, knock.token === "" ? "no-token" : "wrong-token");
    if (user === "expired") return refuse(401, "expired-token");
    if (!knock.own) return refuse(426, "other-protocol");
    return { accept: (socket) => this.#accept(socket, knock, user === "none" ? undefined : user) };
  }

  #accept(socket: WebSocket, knock: Knock, user: GatewayUser | undefined): void {
    socket.on("error", () => {});
    const { resumeKey, options, log } = this.#parts;
    const whose = user?.name ?? "";
    this.#nextId += 1;
    const id = this.#nextId;
    const wanted = readResumeToken(resumeKey, whose, knock.resume);
    const taken = this.#stopped
      ? undefined
      : this.#leases.take(whose, id, wanted, randomBytes(nonceBytes).toString("hex"));
    if (taken === undefined) {
      this.#count("full");
      socket.close(closeCodes.tryLater, "no room for another client");
      return;
    }
    const { slot, nonce, replaced } = taken;
    // Whoever had the slot: the same client's old connection, or somebody who is away and has to give way.
    const before = this.#holderOf(slot);
    if (replaced !== undefined) this.#sessions.get(replaced)?.close(closeCodes.policy, "connected again");
    if (before !== undefined) this.#leave(before);
    if (before !== undefined && !taken.resumed) this.#forgetFlows([slot]);
    try {
      const fd = (before && this.#hub.release(before.about.id)) ?? this.#slots.take(slot);
      this.#open(socket, knock, { id, slot, nonce, user, fd });
    } catch (error) {
      log.error({ err: error, slot }, "a gateway client cannot be served");
      this.#leases.drop(slot);
      this.#count("no-device");
      socket.close(closeCodes.tryLater, "no device for another client");
      return;
    }
    log.info({ user: whose, remote: knock.remote, slot, resumed: taken.resumed }, "gateway client connected");
    if (options.maxClients > this.#leases.used) setImmediate(() => this.#makeAhead());
    this.#parts.onChange();
  }

  #open(
    socket: WebSocket,
    knock: Knock,
    {
      id,
      slot,
      nonce,
      user,
      fd,
    }: { id: number; slot: number; nonce: string; user: GatewayUser | undefined; fd: number },
  ): void {
    const { options, resumeKey } = this.#parts;
    const { client, gateway } = this.#plan.at(slot);
    const sources = client.map(hostPrefix);
    try {
      this.#hub.add(id, { tunFd: fd, mtu: options.mtu, items: "supers", sources });
    } catch (error) {
      this.#slots.giveBack(slot, fd);
      throw error;
    }
    const session = new Session({
      id,
      slot,
      nonce,
      user: user?.name ?? "",
      name: knock.name.replace(/[^A-Za-z0-9._-]/g, "").slice(0, longestName),
      remote: knock.remote,
      since: Date.now(),
      ...(user?.rate !== undefined && { rate: user.rate }),
      hub: this.#hub,
      channel: (events) => new Channel(socket, { codec: ownCodec, events, pingMs: keepAliveMs, deadMs }),
      onEnd: (ended, reason) => this.#ended(ended, reason),
    });
    this.#sessions.set(id, session);
    const hello = encodeGatewayHello({
      addresses: client,
      gateways: gateway.map((text) => text.slice(0, text.indexOf("/"))),
      mtu: options.mtu,
      dns: options.dns,
      routes: client.map((text) => (text.includes(":") ? "::/0" : "0.0.0.0/0")),
      resume: makeResumeToken(resumeKey, user?.name ?? "", { slot, nonce }),
      keepAliveSeconds: keepAliveMs / 1000,
    });
    session.channel.sendMessages([hello]);
    session.start();
  }

  #send(client: number, batch: ClientBatch): void {
    const session = this.#sessions.get(client);
    if (session === undefined) batch.release();
    else session.send(batch);
  }

  /** The client went, or was lost; its addresses wait for it for a while. */
  #ended(session: Session, reason: Reason): void {
    const { id, slot, user, remote } = session.about;
    if (!this.#sessions.delete(id)) return;
    this.#parts.log.info({ user, remote, slot, reason }, "gateway client is gone");
    this.#leases.release(slot, id, performance.now());
    this.#hub.setMode(id, "discard");
    this.#away.set(id, session);
    this.#parts.onChange();
  }

  #tick(): void {
    const over = this.#leases.expire(performance.now()).flatMap((slot) => this.#holderOf(slot) ?? []);
    for (const session of over) this.#leave(session);
    this.#recycle(over);
    void this.#renewTls();
  }

  /** Takes over a renewed certificate; what cannot be used leaves the old one in force. */
  async #renewTls(): Promise<void> {
    const { tls, log } = this.#parts;
    if (tls === undefined) return;
    const stamp = await stampOf(tls);
    if (stamp === this.#tlsStamp || this.#stopped) return;
    this.#tlsStamp = stamp;
    try {
      this.#server?.renew(await readTlsPair(tls));
      log.info({ cert: tls.cert }, "the gateway has another certificate");
    } catch (error) {
      log.error({ err: error }, "the gateway goes on with the certificate that it had");
    }
  }

  /** Their slots are for others: nothing of what was for them may reach these. */
  #recycle(sessions: readonly Session[]): void {
    for (const { about } of sessions) {
      const fd = this.#hub.release(about.id);
      if (fd !== undefined) this.#slots.giveBack(about.slot, fd);
    }
    this.#forgetFlows(sessions.map(({ about }) => about.slot));
  }

  #forgetFlows(slots: readonly number[]): void {
    if (slots.length === 0) return;
    try {
      this.#parts.platform.forgetFlows(slots.flatMap((slot) => this.#plan.at(slot).client.map(hostPrefix)));
    } catch (error) {
      this.#parts.log.warn({ err: error }, "flows of former gateway clients could not be ended");
    }
  }

  #leave({ about: { id } }: Session): void {
    this.#sessions.delete(id);
    this.#away.delete(id);
  }

  #holderOf(slot: number): Session | undefined {
    const isIts = ({ about }: Session): boolean => about.slot === slot;
    return [...this.#sessions.values()].find(isIts) ?? [...this.#away.values()].find(isIts);
  }

  #makeAhead(): void {
    if (this.#stopped) return;
    let left = madeAhead;
    for (let slot = 0; slot < this.#parts.options.maxClients && left > 0; slot++) {
      if (this.#leases.isTaken(slot)) continue;
      left -= 1;
      this.#slots.prepare(slot);
    }
  }

  #view(session: Session, state: "up" | "away"): ClientView {
    const { id, slot, user, name, remote, since } = session.about;
    const counters = this.#hub.counters(id) ?? {
      rxBytes: 0,
      txBytes: 0,
      rxPackets: 0,
      txPackets: 0,
      drops: {},
    };
    const { rttSeconds } = session.channel;
    return {
      ...counters,
      ...{ id, user, name, remote, since, state },
      device: deviceOf(slot),
      addresses: this.#plan.at(slot).client,
      ...(state === "up" && rttSeconds !== undefined && { rttSeconds }),
    };
  }

  #count(why: string): void {
    this.#refused.set(why, (this.#refused.get(why) ?? 0) + 1);
  }
}

/** "10.91.0.2/30" is the host 10.91.0.2/32. */
const hostPrefix = (cidr: string): string =>
  `${cidr.slice(0, cidr.indexOf("/"))}/${cidr.includes(":") ? 128 : 32}`;
