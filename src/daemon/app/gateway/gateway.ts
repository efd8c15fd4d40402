/** The gateway of this machine: whether it is to run, and how. Whether it does is `Life`'s, for whom `GatewayUsers`'. */
import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Reason } from "../../core/carrier.js";
import type { DeclaredGateway, GatewaySettings } from "../../core/config/gateway-section.js";
import { type AskedGateway, type GatewayOptions, refuseStrangers } from "../../core/gateway/options.js";
import type { Trace } from "../../core/system/footprint.js";
import { closeCodes } from "../../io/gateway/channel.js";
import type { GatewayStore } from "../../io/gateway/store.js";
import type { TlsFiles } from "../../io/gateway/tls-files.js";
import type { SystemDoor } from "../../io/system/door.js";
import { ChangeFeed } from "../change-feed.js";
import { Mutex } from "../mutex.js";
import type { Forwarding } from "../routes/forwarding.js";
import type { ClientView } from "./client.js";
import { Declaration } from "./declaration.js";
import { GatewayUsers } from "./gateway-users.js";
import { Life } from "./life.js";
import type { GatewayPlatform } from "./platform.js";
import { footprintOf, stepsToStart, stepsToStop } from "./steps.js";
import { type NearNetwork, Surroundings } from "./surroundings.js";

export interface GatewayParts {
  store: GatewayStore;
  door: SystemDoor;
  forwarding: Forwarding;
  platform: GatewayPlatform;
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
  /** "FILE:LINE"; absent: the config does not declare it. */
  declaredIn?: string;
  users: number;
  clients: ClientView[];
  /** Connections that were not served, by reason. */
  refused: Readonly<Record<string, number>>;
  /** Packets of a shared device that went to no client, by reason. */
  strays: Readonly<Record<string, number>>;
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
  readonly #declaration = new Declaration();
  #tls: TlsFiles | undefined;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    const onChange = (): void => this.feed.changed();
    this.users = new GatewayUsers({
      ...parts,
      onChange: () => {
        onChange();
        // It may have waited for the first.
        this.#life.hurry();
      },
      onRevoked: (name) => this.#cutOff(name),
    });
    this.#surroundings = new Surroundings({ ...parts, tls: () => this.#tls !== undefined });
    this.#life = new Life({
      ...parts,
      tls: () => this.#tls,
      surroundings: this.#surroundings,
      users: this.users,
      exclusive: (work) => this.#mutex.run(work),
      onChange,
    });
  }

  /** Brings back one that ran before, or that the config declares. Never throws: what fails is shown as its state. */
  restore(settings: GatewaySettings): Promise<void> {
    return this.#mutex.run(async () => {
      const { store, log } = this.#parts;
      this.#tls = settings.tls;
      try {
        await this.users.load();
        if (settings.declared !== undefined) return void (await this.#follow(settings.declared, false));
        const stored = await store.load();
        if (stored === undefined) return;
        if (!stored.declared) return await this.#life.upInBackground(stored.options, stored.resumeKey);
        await store.forget();
        log.info("the gateway does not run: the config no longer declares it");
      } catch (error) {
        log.error({ err: error }, "the gateway cannot be brought back");
      }
    });
  }

  /** Makes it as the config has it now. Never throws. @returns whether anything was done */
  apply({ declared, tls }: GatewaySettings): Promise<boolean> {
    return this.#mutex.run(async () => {
      const tlsChanged = !isDeepStrictEqual(tls, this.#tls);
      this.#tls = tls;
      try {
        return await this.#follow(declared, tlsChanged);
      } catch (error) {
        this.#parts.log.error({ err: error }, "cannot make the gateway as the config declares it");
        return true;
      }
    });
  }

  async view(): Promise<GatewayView> {
    const users = this.users.count;
    const life = this.#life.now;
    const { origin } = this.#declaration;
    const always = { users, ...(origin !== undefined && { declaredIn: origin }) };
    const idle = { ...always, clients: [], refused: {}, strays: {}, notes: [] };
    if (life.state === "off") return { state: "off", ...idle };
    const { options } = life;
    if (life.state === "error") return { state: "error", reason: life.reason, options, ...idle };
    const { service, notes } = life;
    const refused = Object.fromEntries(service.refused);
    const [clients, strays] = await Promise.all([service.clients(), service.strays()]);
    return { state: "up", options, ...always, clients, refused, strays, notes };
  }

  /** @throws VpnError `usage` for bad options, `conflict` when it runs with others, `failed` or `conflict` when it cannot */
  async start(asked: AskedGateway, dryRun: boolean): Promise<GatewayChange> {
    return this.#mutex.run(async () => {
      await this.users.load();
      const options = this.#declaration.optionsOf(asked);
      const life = this.#life.now;
      if (life.state !== "off" && JSON.stringify(life.options) === JSON.stringify(options)) {
        if (life.state === "up") return { already: true, plan: [], notes: life.notes };
      } else if (life.state !== "off") {
        throw new VpnError("conflict", `the gateway runs with other options, at ${life.options.listen}`, {
          hint: "stop it first: vpnctl gateway stop",
        });
      }
      refuseStrangers(options, this.users.count);
      if (dryRun) return { already: false, ...(await stepsToStart(options, this.#surroundings)) };
      const resumeKey = (await this.#storedKey()) ?? new Uint8Array(randomBytes(32));
      await this.#life.down();
      const notes = await this.#life.up(options, resumeKey);
      const declared = this.#declaration.origin !== undefined;
      await this.#parts.store.save({ options, resumeKey, declared }).catch(async (error: unknown) => {
        await this.#life.down();
        throw error;
      });
      this.feed.changed();
      return { already: false, plan: [], notes };
    });
  }

  /** It does not run any more, nor after a restart, unless the config declares it. Users stay. */
  stop(dryRun: boolean): Promise<GatewayChange> {
    return this.#mutex.run(async () => {
      const already = this.#life.now.state === "off";
      const { notes } = this.#declaration;
      if (dryRun) return { already, plan: stepsToStop(this.#life.now, this.#surroundings), notes };
      await this.#parts.store.forget();
      await this.#life.down();
      this.feed.changed();
      return { already, plan: [], notes };
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
    return footprintOf(this.#life.now);
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

  /** @param tlsChanged it has another certificate than it runs with @returns whether anything was done */
  async #follow(declared: DeclaredGateway | undefined, tlsChanged: boolean): Promise<boolean> {
    const { store, log } = this.#parts;
    const life = this.#life.now;
    const running = life.state === "off" ? undefined : life.options;
    const consequence = this.#declaration.follow(declared, running, tlsChanged);
    const stored = await this.#storedKey();
    const resumeKey = stored ?? new Uint8Array(randomBytes(32));
    switch (consequence.do) {
      case "nothing":
        if (declared !== undefined || running === undefined || !tlsChanged) return false;
        await this.#life.down();
        await this.#life.upInBackground(running, resumeKey);
        return true;
      case "stop":
        await store.forget();
        await this.#life.down();
        log.info("gateway stopped: the config no longer declares it");
        break;
      case "keep":
        await store.save({ options: consequence.wanted.options, resumeKey, declared: true });
        break;
      case "restart": {
        const { options } = consequence.wanted;
        await this.#life.down();
        await store.save({ options, resumeKey, declared: true });
        if (consequence.up) await this.#life.upInBackground(options, resumeKey);
        log.info({ declared: this.#declaration.origin }, "the gateway is as the config declares it");
      }
    }
    this.feed.changed();
    return true;
  }

  async #cutOff(user: string): Promise<number> {
    const farewell = { code: closeCodes.policy, text: "the token was revoked" };
    return (await this.#life.service?.kick((client) => client.user === user, farewell)) ?? 0;
  }

  /** One that runs goes on with the same key, so that clients keep their addresses. A file that makes no sense has none. */
  async #storedKey(): Promise<Uint8Array | undefined> {
    return (await this.#parts.store.load().catch(() => undefined))?.resumeKey;
  }
}
