/** The gateway of this machine: whether it is to run, how, and for whom. */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Reason } from "../../core/carrier.js";
import { clientDevices } from "../../core/gateway/nat.js";
import {
  type AskedGateway,
  checkGatewayOptions,
  type GatewayOptions,
  refuseStrangers,
} from "../../core/gateway/options.js";
import {
  checkUserName,
  type GatewayUser,
  hashToken,
  makeToken,
  tokenBytes,
  userOfToken,
} from "../../core/gateway/users.js";
import type { Trace } from "../../core/system/footprint.js";
import { closeCodes } from "../../io/gateway/channel.js";
import type { GatewayStore } from "../../io/gateway/store.js";
import type { TlsFiles } from "../../io/gateway/tls-files.js";
import type { SystemDoor } from "../../io/system/door.js";
import { ChangeFeed } from "../change-feed.js";
import { Mutex } from "../mutex.js";
import type { Forwarding } from "../routes/forwarding.js";
import type { ClientView } from "./client.js";
import type { GatewayPlatform } from "./platform.js";
import { Quotas } from "./quotas.js";
import { GatewayService } from "./service.js";
import { sharedDevice } from "./shared-slots.js";
import { type NearNetwork, Surroundings } from "./surroundings.js";

export interface GatewayParts {
  store: GatewayStore;
  door: SystemDoor;
  forwarding: Forwarding;
  platform: GatewayPlatform;
  /** Of the config; absent: the gateway does no TLS itself. */
  tls?: TlsFiles;
  /** Of this vpnd. */
  networks: () => NearNetwork[];
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
}

export interface GatewayView {
  state: "off" | "up" | "error";
  reason?: Reason;
  options?: GatewayOptions;
  users: number;
  clients: ClientView[];
  /** Connections that were not served, by reason. */
  refused: Readonly<Record<string, number>>;
  notes: string[];
}

/** Absent: none. */
export interface UserLimits extends Pick<GatewayUser, "rate" | "quota" | "quotaPeriod"> {
  expiresInSeconds?: number;
}

export interface GatewayChange {
  already: boolean;
  plan: string[];
  notes: string[];
}

type Life =
  | { state: "off" }
  | { state: "up"; options: GatewayOptions; service: GatewayService; notes: string[] }
  | { state: "error"; options: GatewayOptions; reason: Reason; retry: NodeJS.Timeout };

const retryMs = 10_000;
const mostUsers = 10_000;

export class Gateway {
  /** What `view` shows. */
  readonly feed = new ChangeFeed();
  readonly #parts: GatewayParts;
  readonly #quotas: Quotas;
  readonly #surroundings: Surroundings;
  readonly #mutex = new Mutex();
  #users: GatewayUser[] = [];
  /** There never was a user: until then a gateway of this machine alone asks for no token. */
  #userless = true;
  #life: Life = { state: "off" };

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#quotas = new Quotas(parts);
    this.#surroundings = new Surroundings({ ...parts, tls: parts.tls !== undefined });
  }

  /** Brings back one that ran before. Never throws: what fails is shown as its state. */
  restore(): Promise<void> {
    return this.#mutex.run(async () => {
      const { store, log } = this.#parts;
      try {
        const users = await store.users();
        this.#userless = users === undefined;
        this.#users = users ?? [];
        await this.#quotas.load();
        const stored = await store.load();
        if (stored === undefined) return;
        await this.#runInBackground(stored.options, stored.resumeKey);
      } catch (error) {
        log.error({ err: error }, "the gateway cannot be brought back");
      }
    });
  }

  async view(): Promise<GatewayView> {
    const users = this.#users.length;
    const life = this.#life;
    if (life.state === "off") return { state: "off", users, clients: [], refused: {}, notes: [] };
    const { options } = life;
    if (life.state === "error") {
      return { state: "error", reason: life.reason, options, users, clients: [], refused: {}, notes: [] };
    }
    const { service, notes } = life;
    const refused = Object.fromEntries(service.refused);
    return { state: "up", options, users, clients: await service.clients(), refused, notes };
  }

  /** @throws VpnError `usage` for bad options, `conflict` when it runs with others, `failed` or `conflict` when it cannot */
  start(asked: AskedGateway, dryRun: boolean): Promise<GatewayChange> {
    const options = checkGatewayOptions(asked);
    return this.#mutex.run(async () => {
      const life = this.#life;
      if (life.state !== "off" && JSON.stringify(life.options) === JSON.stringify(options)) {
        if (life.state === "up") return { already: true, plan: [], notes: life.notes };
      } else if (life.state !== "off") {
        throw new VpnError("conflict", `the gateway runs with other options, at ${life.options.listen}`, {
          hint: "stop it first: vpnctl gateway stop",
        });
      }
      refuseStrangers(options, this.#users.length);
      if (dryRun) return { already: false, ...(await this.#plan(options)) };
      const resumeKey = (await this.#storedKey()) ?? new Uint8Array(randomBytes(32));
      await this.#down();
      const notes = await this.#up(options, resumeKey);
      await this.#parts.store.save({ options, resumeKey }).catch(async (error: unknown) => {
        await this.#down();
        throw error;
      });
      this.feed.changed();
      return { already: false, plan: [], notes };
    });
  }

  /** It does not run any more, nor after a restart. Users stay. */
  stop(dryRun: boolean): Promise<GatewayChange> {
    return this.#mutex.run(async () => {
      const already = this.#life.state === "off";
      if (dryRun) return { already, plan: already ? [] : this.#planStop(), notes: [] };
      await this.#parts.store.forget();
      await this.#down();
      this.feed.changed();
      return { already, plan: [], notes: [] };
    });
  }

  /** For the end of vpnd: it comes back with the next. Idempotent. */
  close(): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#down();
      await this.#quotas.save();
    });
  }

  /** @param whom id, address or user @returns how many were disconnected @throws VpnError `not-found` */
  async kick(whom: string): Promise<number> {
    const service = this.#service();
    const kicked = await service.kick(
      ({ id, user }, addresses) =>
        String(id) === whom ||
        (user !== "" && user === whom) ||
        addresses.some((one) => one.slice(0, one.indexOf("/")) === whom),
      { code: closeCodes.policy, text: "disconnected by the gateway's operator" },
    );
    if (kicked > 0) return kicked;
    throw new VpnError("not-found", `no client is ${JSON.stringify(whom.slice(0, 100))}`, {
      hint: "name its id, address or user: vpnctl gateway clients",
    });
  }

  users(): readonly GatewayUser[] {
    return this.#users;
  }

  /** What the user has used of the quota in this period, and may use yet, bytes; undefined: there is no quota, or no such user. */
  quotaOf(name: string): { used: number; left: number } | undefined {
    const user = this.#users.find((one) => one.name === name);
    const left = user && this.#quotas.left(user);
    return user === undefined || left === undefined ? undefined : { used: this.#quotas.used(user), left };
  }

  /** How many connections the user has now. */
  connections(user: string): number {
    return this.#life.state === "up" ? this.#life.service.connections(user) : 0;
  }

  /**
   * @param more absent: never, and as fast as it goes
   * @returns the token, which cannot be had again
   * @throws VpnError `usage` or `already-exists`
   */
  addUser(name: string, more: UserLimits): Promise<string> {
    checkUserName(name);
    return this.#mutex.run(async () => {
      if (this.#users.some((user) => user.name === name)) {
        throw new VpnError("already-exists", `there is a user ${name}`, {
          hint: `give another name, or take that one's token away first: vpnctl gateway user revoke ${name}`,
        });
      }
      if (this.#users.length >= mostUsers)
        throw new VpnError("failed", `there are ${mostUsers} users already`);
      const token = makeToken(randomBytes(tokenBytes));
      const created = this.#parts.now();
      const { expiresInSeconds, ...limits } = more;
      await this.#saveUsers([
        ...this.#users,
        {
          name,
          tokenHash: hashToken(token),
          created,
          ...(expiresInSeconds !== undefined && { expires: created + expiresInSeconds * 1000 }),
          ...limits,
        },
      ]);
      return token;
    });
  }

  /** @returns how many of its connections were closed @throws VpnError `not-found` */
  revokeUser(name: string): Promise<number> {
    return this.#mutex.run(async () => {
      const users = this.#users.filter((user) => user.name !== name);
      if (users.length === this.#users.length) {
        throw new VpnError("not-found", `there is no user ${JSON.stringify(name.slice(0, 100))}`, {
          hint: "see: vpnctl gateway user list",
        });
      }
      await this.#saveUsers(users);
      this.#quotas.forget(name);
      const life = this.#life;
      return life.state === "up"
        ? life.service.kick(({ user }) => user === name, {
            code: closeCodes.policy,
            text: "the token was revoked",
          })
        : 0;
    });
  }

  /** Asks what moves packets for a sign of life. */
  responds(): boolean {
    return this.#life.state === "up" ? this.#life.service.responds() : true;
  }

  /** Its devices and its port; the rest is in the journal. */
  footprint(): Trace[] {
    const life = this.#life;
    if (life.state !== "up") return [];
    const { devices } = life.service;
    const detail = `${devices} devices of gateway clients, mtu ${life.options.mtu}`;
    return [
      { kind: "device", name: clientDevices, detail, network: "", present: devices > 0 },
      { kind: "socket", name: `tcp ${life.options.listen}`, detail: "gateway", network: "", present: true },
    ];
  }

  /** @throws VpnError `conflict` for the network that clients get to */
  refuseLeave(network: string): void {
    const life = this.#life;
    if (life.state === "off" || life.options.into !== network) return;
    throw new VpnError("conflict", `clients of the gateway get to network ${network}`, {
      hint: "first: vpnctl gateway stop",
    });
  }

  /** The network came up, or went down: it has another device, or none. Never throws. */
  networkChanged(network: string): Promise<void> {
    return this.#mutex.run(async () => {
      const life = this.#life;
      if (life.state !== "up" || life.options.into !== network) return;
      await this.#surroundings.forwardAgain(life.options).catch((error: unknown) => {
        this.#parts.log.error({ err: error, network }, "clients of the gateway do not get to the network");
      });
    });
  }

  #service(): GatewayService {
    const life = this.#life;
    if (life.state === "up") return life.service;
    throw new VpnError("not-configured", "the gateway does not run", {
      hint: "start it: vpnctl gateway start",
    });
  }

  async #saveUsers(users: GatewayUser[]): Promise<void> {
    await this.#parts.store.saveUsers(users);
    this.#users = users;
    this.#userless = false;
    this.feed.changed();
  }

  /** One that runs goes on with the same key, so that clients keep their addresses. A file that makes no sense has none. */
  async #storedKey(): Promise<Uint8Array | undefined> {
    return (await this.#parts.store.load().catch(() => undefined))?.resumeKey;
  }

  async #runInBackground(options: GatewayOptions, resumeKey: Uint8Array): Promise<void> {
    try {
      await this.#up(options, resumeKey);
    } catch (thrown) {
      const { code, message } = VpnError.from(thrown);
      this.#parts.log.error({ err: thrown }, "the gateway does not run");
      const again = (): void =>
        void this.#mutex.run(async () => {
          if (this.#life.state === "error" && this.#life.retry === retry)
            await this.#runInBackground(options, resumeKey);
        });
      const retry = setTimeout(again, retryMs);
      retry.unref();
      this.#life = { state: "error", options, reason: { code, message }, retry };
    }
    this.feed.changed();
  }

  /** @returns notes for people */
  async #up(options: GatewayOptions, resumeKey: Uint8Array): Promise<string[]> {
    const { platform, tls, log } = this.#parts;
    const { into, notes } = await this.#surroundings.bringAbout(options);
    try {
      const service = await GatewayService.start({
        options,
        resumeKey,
        platform,
        ...(tls !== undefined && { tls }),
        ...(into !== undefined && { into: into.prefixes }),
        spend: (user, bytes) => this.#quotas.spend(user, bytes),
        userOf: (token) => this.#userOf(options, token),
        log: log.child({ gateway: options.listen }),
        onChange: () => this.feed.changed(),
      });
      this.#life = { state: "up", options, service, notes };
    } catch (error) {
      await this.#surroundings.takeBack();
      throw error;
    }
    log.info({ listen: options.listen, open: options.open, users: this.#users.length }, "gateway started");
    return notes;
  }

  async #down(): Promise<void> {
    const life = this.#life;
    this.#life = { state: "off" };
    if (life.state === "off") return;
    if (life.state === "error") return clearTimeout(life.retry);
    await life.service.stop();
    await this.#surroundings.takeBack();
    this.#parts.log.info({ listen: life.options.listen }, "gateway stopped");
  }

  async #plan(options: GatewayOptions): Promise<{ plan: string[]; notes: string[] }> {
    const { plan, notes } = await this.#surroundings.plan(options);
    const name = options.isolation === "shared" ? `device ${sharedDevice}` : `devices ${clientDevices}`;
    const devices = `create ${name} (tun) for up to ${options.maxClients} clients`;
    return { plan: [...plan, devices, `listen on ${options.listen}`], notes };
  }

  #planStop(): string[] {
    const life = this.#life;
    const where =
      life.state === "up"
        ? [`listen on ${life.options.listen} no more`, `remove devices ${clientDevices}`]
        : [];
    return [...where, ...this.#surroundings.planUndo()];
  }

  #userOf({ open }: GatewayOptions, token: string): GatewayUser | "none" | "unknown" | "expired" | "used-up" {
    if (token === "" && (open || this.#userless)) return "none";
    const user = userOfToken(this.#users, token, this.#parts.now());
    if (typeof user !== "string") return this.#quotas.left(user) === 0 ? "used-up" : user;
    return open ? "none" : user;
  }
}
