import { uptime } from "node:os";
import type { Logger } from "pino";
import { VpnError } from "../../common/errors.js";
import type { Carrier, CarrierEvent } from "../core/carrier.js";
import { noRules } from "../core/filter/rules.js";
import { parseCidr } from "../core/network/cidr.js";
import { hasPsk, type NetworkConfig } from "../core/network/config.js";
import { checkOverlap } from "../core/network/overlap.js";
import { type Routing, withoutPeer } from "../core/routes/routing.js";
import { hostSubnets } from "../io/host-subnets.js";
import type { NetworkSecrets, StateStore, StoredNetwork } from "../io/state/store.js";
import type { PlannedStep, SystemDoor } from "../io/system/door.js";
import { FilterKeeper } from "./filter/filter-keeper.js";
import { Mutex } from "./mutex.js";
import type { NameZones } from "./names/name-zones.js";
import { NetworkNames } from "./names/network-names.js";
import { NetworkDisk } from "./network-disk.js";
import { type Ground, NetworkGround } from "./network-ground.js";
import { type Life, NetworkLife } from "./network-life.js";
import { NetworkTeller } from "./network-teller.js";
import type { MakeCarrier, Platform } from "./platform.js";
import { PskKeeper } from "./psk-keeper.js";
import type { Forwarding } from "./routes/forwarding.js";
import { NetworkRoutes } from "./routes/network-routes.js";
import { liveSettings } from "./settings/live-settings.js";

export interface NetworkParts {
  door: SystemDoor;
  store: StateStore;
  platform: Platform;
  makeCarrier: MakeCarrier;
  forwarding: Forwarding;
  nameZones: NameZones;
  /** Packet threads. */
  threads: number;
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
  /** For grace periods of PSKs; `now` counts on while the machine sleeps. Default: the system's. */
  clock?: () => { now: number; wall: number };
  onChange: () => void;
  /** Each thing that happens to it or its peers. */
  onEvent: (event: CarrierEvent) => void;
  /** The other networks, for the check of overlapping prefixes. */
  others: (name: string) => NetworkConfig[];
}

/** One network: its device, addresses, sockets and carrier. All changes run under `exclusive`. */
export class Network {
  config: NetworkConfig;
  readonly psks: PskKeeper;
  readonly routes: NetworkRoutes;
  readonly names: NetworkNames;
  readonly filter: FilterKeeper;
  /** False once it was left: whoever waited for it must look again. */
  joined = true;
  readonly #parts: NetworkParts;
  readonly #mutex = new Mutex();
  readonly #disk: NetworkDisk;
  readonly #ground: NetworkGround;
  readonly #life: NetworkLife;
  readonly #teller: NetworkTeller;

  /** @param kept it is on disk already, and so is what it learns from now on */
  constructor(stored: StoredNetwork, parts: NetworkParts, kept: boolean) {
    const { name } = stored.config;
    const disk = new NetworkDisk(parts.store, stored.learned, kept, parts.log);
    this.config = stored.config;
    this.#disk = disk;
    this.#life = new NetworkLife(parts.now, parts.onChange);
    this.#ground = new NetworkGround({
      door: parts.door,
      platform: parts.platform,
      threads: parts.threads,
      config: () => this.config,
      others: () => parts.others(name),
      onPort: (port) => this.#keepPort(port),
    });
    this.psks = new PskKeeper(stored, {
      save: (secrets) => disk.saveSecrets(name, secrets),
      onChange: (psks) => {
        this.carrier?.setPsks?.(psks);
        const { state } = this.life;
        this.#teller.key(this.fingerprint, state === "running" ? "up" : state);
        parts.onChange();
      },
      clock: parts.clock ?? (() => ({ now: uptime() * 1000, wall: parts.now() })),
      log: parts.log.child({ network: name }),
    });
    this.routes = new NetworkRoutes({
      door: parts.door,
      forwarding: parts.forwarding,
      subnets: hostSubnets,
      onClients: (allowed) => this.names.serve(allowed),
      config: () => this.config,
      log: parts.log,
      onChange: parts.onChange,
    });
    this.names = new NetworkNames({
      door: parts.door,
      platform: parts.platform,
      zones: parts.nameZones,
      config: () => this.config,
      log: parts.log,
      onChange: parts.onChange,
    });
    this.filter = new FilterKeeper(stored.filter ?? noRules, {
      network: name,
      save: (rules) => disk.saveFilter(name, rules),
      onError: (error) => parts.log.error({ network: name, err: error }, "cannot keep filter rules"),
    });
    this.#teller = new NetworkTeller(
      this.config.carrier,
      (event) => parts.onEvent(event),
      this.psks.fingerprint,
    );
    this.#parts = parts;
  }

  get name(): string {
    return this.config.name;
  }

  get life(): Life {
    return this.#life.current;
  }

  /** Milliseconds since 1970 of the last change of state. */
  get since(): number {
    return this.#life.since;
  }

  get secrets(): NetworkSecrets {
    return this.psks.secrets;
  }

  get threads(): number {
    return this.#parts.threads;
  }

  /** As it is to be found on disk. */
  get stored(): StoredNetwork {
    const filter = this.filter.rules;
    return { config: this.config, secrets: this.secrets, learned: this.#disk.learned, filter };
  }

  /** Own address in CIDR notation; empty: nobody has given it one yet. */
  get virtualIp(): string {
    return this.carrier?.addresses?.()[0] ?? this.config.asked.virtualIp;
  }

  /** What goes over its device without being accepted of a peer. */
  get prefixes(): string[] {
    const { virtualIp, gateway } = this.config.asked;
    const own = [virtualIp, ...(this.carrier?.addresses?.() ?? [])];
    return [...own.flatMap((one) => parseCidr(one)?.prefix ?? []), ...(gateway?.routes ?? [])];
  }

  /** Empty: it has no PSK. */
  get fingerprint(): string {
    return hasPsk(this.config.asked) ? this.psks.fingerprint : "";
  }

  get carrier(): Carrier | undefined {
    return this.#life.carrier;
  }

  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(work);
  }

  /** The changes to the machine that `start` would make. @throws VpnError as `start` */
  plan(): Promise<string[]> {
    return this.#ground.plan();
  }

  /** Its changes to the machine, or, while it is not up, those that `start` would make. @throws VpnError as `start` */
  steps(): Promise<PlannedStep[]> {
    return this.#ground.steps();
  }

  planStop(): string[] {
    return this.#ground.planRemoval();
  }

  /** Brings it up; on failure nothing is left of it. Call under `exclusive`. */
  async start(): Promise<Carrier> {
    if (this.carrier !== undefined) return this.carrier;
    this.#life.enter({ state: "starting" });
    try {
      const carrier = await this.#ground.build((ground) => this.#bringUp(ground));
      carrier.onChange = () => {
        this.names.poke();
        this.filter.look();
        this.#parts.onChange();
        this.routes.poke();
      };
      this.#life.enter({ state: "running", carrier, stopped: new AbortController() });
      this.routes.start(carrier);
      this.names.start(carrier);
      this.filter.look();
      return carrier;
    } catch (error) {
      this.#life.enter({ state: "down" });
      throw VpnError.from(error, "failed");
    }
  }

  /** Takes it down; idempotent. Call under `exclusive`. */
  async stop(): Promise<void> {
    await this.#halt();
    this.#teller.became("down");
  }

  async #halt(): Promise<void> {
    const { life } = this;
    await this.names.stop();
    await this.routes.stop();
    if (life.state === "running") {
      life.stopped.abort(new VpnError("cancelled", `network ${this.name} is stopped`));
      await life.carrier.stop().catch((error: unknown) => {
        this.#parts.log.error({ network: this.name, err: error }, "carrier did not stop cleanly");
      });
    }
    this.filter.release();
    await this.#ground.remove();
    this.#life.enter({ state: "down" });
    await this.#disk.settled();
  }

  /**
   * Brings it up for good without anybody waiting: what fails is shown as its state and tried again, later each time.
   * Call under `exclusive`; returns when the first attempt is over.
   */
  async startInBackground(): Promise<void> {
    try {
      const carrier = await this.start();
      this.watch(carrier);
    } catch (error) {
      this.retryLater(VpnError.from(error));
    }
  }

  /** Follows a started carrier: it may still find out that it can't work. */
  watch(carrier: Carrier): void {
    const { life } = this;
    if (life.state !== "running") return;
    const { stopped } = life;
    carrier.ready(stopped.signal).then(
      () => {
        this.#life.worked();
        this.#parts.log.info({ network: this.name, virtualIp: this.config.asked.virtualIp }, "network is up");
        this.#parts.onChange();
      },
      (error: unknown) => {
        if (stopped.signal.aborted) return;
        void this.exclusive(async () => {
          if (stopped.signal.aborted) return;
          await this.#halt();
          this.retryLater(VpnError.from(error));
        });
      },
    );
  }

  /** From now on it and what it learns are on disk. */
  keep(): Promise<void> {
    return this.#disk.keep(this.stored);
  }

  /**
   * Makes another one of it, with the same label and what was learned of peers. Call under `exclusive`, while it is stopped;
   * on failure it stays what it was.
   */
  async become(config: NetworkConfig, secrets: NetworkSecrets): Promise<void> {
    const { routing } = this.config;
    const next = routing === undefined ? config : { ...config, routing };
    await this.#parts.store.change({ config: next, secrets, learned: this.#disk.learned });
    this.config = next;
    this.psks.reload({ config, secrets });
    this.#parts.onChange();
  }

  /** Settings that its carrier changes while it lives. Call under `exclusive`; on failure it stays what it was. */
  async adapt(config: NetworkConfig, secrets: NetworkSecrets): Promise<void> {
    const had = this.config;
    const tell = async (...now: Parameters<typeof liveSettings>): Promise<void> =>
      this.carrier?.reconfigure?.(liveSettings(...now));
    await tell(config, secrets);
    try {
      await this.#parts.store.change({ config, secrets, learned: this.#disk.learned });
    } catch (error) {
      await tell(had, this.secrets);
      throw error;
    }
    this.config = config;
    if (secrets.password !== this.secrets.password) this.psks.reload({ config, secrets });
    if (had.asked.noDns !== config.asked.noDns) await this.names.renew(this.carrier);
    else this.names.poke();
    this.#parts.onChange();
  }

  /** @throws VpnError `conflict` when a network like this would take what others have; its own device is no reason */
  async checkPlace(config: NetworkConfig): Promise<void> {
    const { door, others } = this.#parts;
    const local = await door.localPrefixes();
    const foreign = local.filter(({ device }) => device !== this.config.device);
    checkOverlap(config, others(this.name), foreign);
  }

  async setUp(up: boolean): Promise<void> {
    if (this.config.up === up) return;
    const config = { ...this.config, up };
    await this.#parts.store.saveConfig(config);
    this.config = config;
  }

  /** What is decided about subnet routes from now on; `routes` brings it into force. Call under `exclusive`. */
  async setRouting(routing: Routing): Promise<void> {
    const config = { ...this.config, routing };
    await this.#disk.saveConfig(config);
    this.config = config;
  }

  /** Removes it from the disk; nothing is written for it any more. What cannot be removed stays whole, if the disk lets it. */
  forget(): Promise<void> {
    return this.#disk.forget(this.stored);
  }

  /** Virtual IPs whose node key is known. */
  pinned(): string[] {
    return [...this.pinnedKeys().keys()];
  }

  /** Node keys by virtual IP. */
  pinnedKeys(): Map<string, string> {
    return this.#disk.pins();
  }

  /** Forgets the node key of an address, running or not; false: there was none. Call under `exclusive`. */
  async forgetPin(virtualIp: string): Promise<boolean> {
    const nodeKey = this.pinnedKeys().get(virtualIp);
    const { routing } = this.config;
    // What was accepted was accepted of this key.
    if (nodeKey !== undefined && routing !== undefined) await this.setRouting(withoutPeer(routing, nodeKey));
    return this.carrier === undefined
      ? this.#disk.forgetPin(this.name, virtualIp)
      : this.carrier.forgetPeer(virtualIp);
  }

  /** Marks it as left. */
  retire(): void {
    this.joined = false;
    this.psks.stop();
    this.#life.enter({ state: "down" });
    if (this.#disk.wasKept) this.#teller.left();
  }

  async #bringUp(ground: Ground): Promise<Carrier> {
    const { makeCarrier, log } = this.#parts;
    const carrier = makeCarrier({
      config: this.config,
      secrets: this.secrets,
      psks: this.psks.epochs(),
      learned: this.#disk.learned,
      onLearned: (learned) => this.#disk.learn(this.name, learned),
      ...ground,
    });
    carrier.onEvent = (event) => this.#teller.event(event);
    try {
      this.filter.use(carrier);
      await carrier.start();
    } catch (error) {
      this.filter.release();
      await carrier.stop().catch(() => {});
      throw error;
    }
    log.info({ network: this.name, device: this.config.device, port: this.config.port }, "network started");
    return carrier;
  }

  async #keepPort(port: number): Promise<void> {
    if (this.config.port === port) return;
    if (this.config.port !== 0) {
      this.#parts.log.warn(
        { network: this.name, port: this.config.port, instead: port },
        "UDP port is taken",
      );
    }
    this.config = { ...this.config, port };
    await this.#disk.saveConfig(this.config);
  }

  /** Shows the error as its state, and tries again later. Call under `exclusive`, with nothing of it up. */
  retryLater(error: VpnError): void {
    const reason = { code: error.code, message: error.message };
    const waitMs = this.#life.failed(reason, (due) => {
      void this.exclusive(async () => {
        if (due()) await this.startInBackground();
      });
    });
    this.#parts.log.error(
      { network: this.name, reason, retrySeconds: waitMs / 1000 },
      "network does not work",
    );
    this.#teller.became("error", reason);
  }
}
