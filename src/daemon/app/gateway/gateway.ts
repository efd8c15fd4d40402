/** The gateway of this machine: whether it is to run, and how. Whether it does is `Life`'s, for whom `GatewayUsers`'. */
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
import type { Trace } from "../../core/system/footprint.js";
import { closeCodes } from "../../io/gateway/channel.js";
import type { GatewayStore } from "../../io/gateway/store.js";
import type { TlsFiles } from "../../io/gateway/tls-files.js";
import type { SystemDoor } from "../../io/system/door.js";
import { ChangeFeed } from "../change-feed.js";
import { Mutex } from "../mutex.js";
import type { Forwarding } from "../routes/forwarding.js";
import type { ClientView } from "./client.js";
import { GatewayUsers } from "./gateway-users.js";
import { Life } from "./life.js";
import type { GatewayPlatform } from "./platform.js";
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

export interface GatewayChange {
  already: boolean;
  plan: string[];
  notes: string[];
}

export class Gateway {
  /** What `view` shows. */
  readonly feed = new ChangeFeed();
  readonly users: GatewayUsers;
  readonly #parts: GatewayParts;
  readonly #surroundings: Surroundings;
  readonly #mutex = new Mutex();
  readonly #life: Life;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    const onChange = (): void => this.feed.changed();
    this.users = new GatewayUsers({ ...parts, onChange, onRevoked: (name) => this.#cutOff(name) });
    this.#surroundings = new Surroundings({ ...parts, tls: parts.tls !== undefined });
    const exclusive = (work: () => Promise<void>): Promise<void> => this.#mutex.run(work);
    const { users } = this;
    this.#life = new Life({ ...parts, surroundings: this.#surroundings, users, exclusive, onChange });
  }

  /** Brings back one that ran before. Never throws: what fails is shown as its state. */
  restore(): Promise<void> {
    return this.#mutex.run(async () => {
      const { store, log } = this.#parts;
      try {
        await this.users.load();
        const stored = await store.load();
        if (stored !== undefined) await this.#life.upInBackground(stored.options, stored.resumeKey);
      } catch (error) {
        log.error({ err: error }, "the gateway cannot be brought back");
      }
    });
  }

  async view(): Promise<GatewayView> {
    const users = this.users.count;
    const life = this.#life.now;
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
      await this.users.load();
      const life = this.#life.now;
      if (life.state !== "off" && JSON.stringify(life.options) === JSON.stringify(options)) {
        if (life.state === "up") return { already: true, plan: [], notes: life.notes };
      } else if (life.state !== "off") {
        throw new VpnError("conflict", `the gateway runs with other options, at ${life.options.listen}`, {
          hint: "stop it first: vpnctl gateway stop",
        });
      }
      refuseStrangers(options, this.users.count);
      if (dryRun) return { already: false, ...(await this.#plan(options)) };
      const resumeKey = (await this.#storedKey()) ?? new Uint8Array(randomBytes(32));
      await this.#life.down();
      const notes = await this.#life.up(options, resumeKey);
      await this.#parts.store.save({ options, resumeKey }).catch(async (error: unknown) => {
        await this.#life.down();
        throw error;
      });
      this.feed.changed();
      return { already: false, plan: [], notes };
    });
  }

  /** It does not run any more, nor after a restart. Users stay. */
  stop(dryRun: boolean): Promise<GatewayChange> {
    return this.#mutex.run(async () => {
      const already = this.#life.now.state === "off";
      if (dryRun) return { already, plan: already ? [] : this.#planStop(), notes: [] };
      await this.#parts.store.forget();
      await this.#life.down();
      this.feed.changed();
      return { already, plan: [], notes: [] };
    });
  }

  /** For the end of vpnd: it comes back with the next. Idempotent. */
  close(): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#life.down();
      await this.users.save();
    });
  }

  /** @param whom id, address or user @returns how many were disconnected @throws VpnError `not-found` */
  async kick(whom: string): Promise<number> {
    const { service } = this.#life;
    if (service === undefined)
      throw new VpnError("not-configured", "the gateway does not run", {
        hint: "start it: vpnctl gateway start",
      });
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

  /** How many connections the user has now. */
  connections(user: string): number {
    return this.#life.service?.connections(user) ?? 0;
  }

  /** Asks what moves packets for a sign of life. */
  responds(): boolean {
    return this.#life.service?.responds() ?? true;
  }

  /** Its devices and its port; the rest is in the journal. */
  footprint(): Trace[] {
    const life = this.#life.now;
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
    const life = this.#life.now;
    if (life.state === "off" || life.options.into !== network) return;
    throw new VpnError("conflict", `clients of the gateway get to network ${network}`, {
      hint: "first: vpnctl gateway stop",
    });
  }

  /** The network came up, or went down: it has another device, or none. Never throws. */
  networkChanged(network: string): Promise<void> {
    return this.#mutex.run(async () => {
      const life = this.#life.now;
      if (life.state !== "up" || life.options.into !== network) return;
      await this.#surroundings.forwardAgain(life.options).catch((error: unknown) => {
        this.#parts.log.error({ err: error, network }, "clients of the gateway do not get to the network");
      });
    });
  }

  async #cutOff(user: string): Promise<number> {
    const farewell = { code: closeCodes.policy, text: "the token was revoked" };
    return (await this.#life.service?.kick((client) => client.user === user, farewell)) ?? 0;
  }

  /** One that runs goes on with the same key, so that clients keep their addresses. A file that makes no sense has none. */
  async #storedKey(): Promise<Uint8Array | undefined> {
    return (await this.#parts.store.load().catch(() => undefined))?.resumeKey;
  }

  async #plan(options: GatewayOptions): Promise<{ plan: string[]; notes: string[] }> {
    const { plan, notes } = await this.#surroundings.plan(options);
    const name = options.isolation === "shared" ? `device ${sharedDevice}` : `devices ${clientDevices}`;
    const devices = `create ${name} (tun) for up to ${options.maxClients} clients`;
    return { plan: [...plan, devices, `listen on ${options.listen}`], notes };
  }

  #planStop(): string[] {
    const life = this.#life.now;
    const where =
      life.state === "up"
        ? [`listen on ${life.options.listen} no more`, `remove devices ${clientDevices}`]
        : [];
    return [...where, ...this.#surroundings.planUndo()];
  }
}
