import { VpnError } from "../../common/errors.js";
import { isWeak, parsePsk } from "../../common/psk.js";
import type { CarrierEvent } from "../core/carrier.js";
import {
  type GatewayClientOptions,
  nothingGoesNote,
  openGatewayWarning,
} from "../core/gateway/client-options.js";
import { chooseNetwork, chooseNetworks } from "../core/network/choose.js";
import {
  checkJoinOptions,
  differences,
  hasPsk,
  type JoinOptions,
  makeConfig,
  type NetworkConfig,
} from "../core/network/config.js";
import { openLinkWarning } from "../core/tcp/options.js";
import type { ReadyNetwork } from "../io/config/load.js";
import type { DamagedNetwork, StoredNetwork } from "../io/state/store.js";
import { ChangeFeed } from "./change-feed.js";
import { DeclaredNetworks } from "./declared-networks.js";
import { NameZones } from "./names/name-zones.js";
import { Network, type NetworkParts } from "./network.js";
import { Forwarding } from "./routes/forwarding.js";
import { type JoinWait, waitForJoin } from "./wait-for-join.js";

export interface JoinRequest extends JoinWait {
  options: JoinOptions;
  /** As typed. */
  psk: Uint8Array;
  /** What a database or a gateway asks for. */
  password?: string;
  noWait: boolean;
  dryRun: boolean;
}

export interface JoinResult {
  network: Network;
  alreadyJoined: boolean;
  notes: string[];
  plan: string[];
}

/** The networks of this vpnd. */
export class Networks {
  readonly feed = new ChangeFeed();
  /** Called for each thing that happens to a network or its peers, in order. */
  onEvent: (network: string, event: CarrierEvent) => void = () => {};
  /** Throws a VpnError when a network must not be left now. */
  mayLeave: (network: string) => void = () => {};
  readonly declared: DeclaredNetworks;
  /** For others who forward packets, too. */
  readonly forwarding: Forwarding;
  readonly #parts: Omit<NetworkParts, "onEvent">;
  readonly #random: (bytes: number) => Uint8Array;
  readonly #hostName: string;
  readonly #networks = new Map<string, Network>();
  readonly #damaged = new Map<string, DamagedNetwork>();
  readonly #stopping = new AbortController();

  constructor(
    parts: Omit<NetworkParts, "onChange" | "onEvent" | "others" | "forwarding" | "nameZones">,
    more: { random: (bytes: number) => Uint8Array; hostName: string },
  ) {
    this.#random = more.random;
    this.#hostName = more.hostName;
    this.forwarding = new Forwarding(parts.door);
    this.#parts = {
      ...parts,
      forwarding: this.forwarding,
      nameZones: new NameZones(),
      onChange: () => this.feed.changed(),
      others: (name) => this.#others(name),
    };
    this.declared = new DeclaredNetworks({
      find: (name) => this.#networks.get(name),
      all: () => this.all(),
      add: (stored, kept) => this.#add(this.#make(stored, kept)),
      drop: (network) => this.#drop(network),
      isDamaged: (name) => this.#damaged.has(name),
      stopping: () => this.#stopping.signal.aborted,
      random: more.random,
      hostName: more.hostName,
      log: parts.log,
      now: parts.now,
    });
  }

  all(): Network[] {
    return [...this.#networks.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  damaged(): DamagedNetwork[] {
    return [...this.#damaged.values()];
  }

  names(): string[] {
    return [...this.#networks.keys(), ...this.#damaged.keys()].sort();
  }

  /** @throws VpnError as `chooseNetwork`, or `failed` for a damaged one */
  get(asked: string): Network {
    return this.#find(chooseNetwork(asked, this.names()));
  }

  /** For listings: the one asked for, or all that are usable. @throws VpnError `not-configured` when there is none */
  listed(asked: string): Network[] {
    if (asked !== "") return [this.get(asked)];
    chooseNetworks("", this.names());
    return this.all();
  }

  /**
   * Brings back what was joined before, and what the config declares. Does not wait for servers; a network that fails does not
   * hold up others.
   */
  async restore(declared: readonly ReadyNetwork[] = []): Promise<void> {
    const { networks, damaged } = await this.#parts.store.load();
    for (const one of damaged) {
      this.#damaged.set(one.name, one);
      this.#parts.log.error({ network: one.name, file: one.file }, one.message);
    }
    for (const stored of networks) {
      if (this.declared.sleep(stored, declared)) continue;
      this.#add(this.#make(stored, true));
    }
    await this.declared.apply(declared, false);
    for (const network of this.all()) {
      if (this.#stopping.signal.aborted) return;
      if (network.config.up) await network.exclusive(() => network.startInBackground());
    }
  }

  /** @param signal aborts when the caller goes away: then nothing is joined */
  async join(request: JoinRequest, signal: AbortSignal): Promise<JoinResult> {
    const options = checkJoinOptions(request.options);
    const psk = hasPsk(options) ? parsePsk(request.psk, { badger: options.badger }) : new Uint8Array(0);
    if (request.noWait && request.expectPeers > 0) {
      throw new VpnError("usage", "--no-wait and --expect-peers exclude each other", { hint: "drop one" });
    }
    for (;;) {
      this.#refuseDamaged(options.network);
      const existing = this.#networks.get(options.network);
      if (!existing) break;
      const same = await existing.exclusive(
        async () => existing.joined && this.#same(existing, options, psk, request.password),
      );
      signal.throwIfAborted();
      if (same) return this.#already(existing);
    }
    this.#stopping.signal.throwIfAborted();
    const config = makeConfig(options, this.#hostName, this.#parts.now());
    const { password } = request;
    const secrets = { psk, nodeSeed: this.#random(32), ...(password !== undefined && { password }) };
    const network = this.#make({ config, secrets, learned: {} }, false);
    const notes = joinNotes(config, request.psk);
    if (request.dryRun) return { network, alreadyJoined: false, notes, plan: await network.plan() };
    // From here on the label, the prefix and the device are taken.
    this.#networks.set(config.name, network);
    const both = AbortSignal.any([signal, this.#stopping.signal]);
    await network.exclusive(() => this.#joinNew(network, request, both));
    const found = network.carrier?.view().notes ?? [];
    return { network, alreadyJoined: false, notes: [...new Set([...notes, ...found])], plan: [] };
  }

  /** Forgets a network. A damaged one's files are moved aside instead. */
  async leave(asked: string, dryRun: boolean): Promise<{ name: string; plan: string[] }> {
    if (this.declared.isDormant(asked) && !this.#networks.has(asked))
      return this.#forgetDormant(asked, dryRun);
    const name = chooseNetwork(asked, this.names());
    const damaged = this.#damaged.get(name);
    if (damaged) {
      if (dryRun) return { name, plan: [`move the damaged files of ${name} aside`] };
      const kept = await this.#parts.store.setAside(name, `${this.#parts.now()}`);
      this.#damaged.delete(name);
      this.#parts.log.warn({ network: name, kept }, "damaged network was left, its files are kept");
      this.feed.changed();
      return { name, plan: [] };
    }
    this.declared.refuse(name, "left");
    this.mayLeave(name);
    return this.#on(this.#find(name), async (network) => {
      if (dryRun) return { name, plan: [...network.planStop(), `forget network ${name} and its keys`] };
      // First what may fail: if it cannot be forgotten, it stays as it is.
      await network.forget();
      await network.stop();
      this.declared.forget(name);
      this.#drop(network);
      this.#parts.log.info({ network: name }, "network left");
      return { name, plan: [] };
    });
  }

  async up(
    asked: string,
    dryRun: boolean,
  ): Promise<{ network: Network; alreadyUp: boolean; plan: string[] }> {
    return this.#on(this.get(asked), async (network) => {
      if (network.carrier) return { network, alreadyUp: true, plan: [] };
      if (dryRun) return { network, alreadyUp: false, plan: await network.plan() };
      const carrier = await network.start().catch((error: unknown) => {
        if (network.config.up) network.retryLater(VpnError.from(error));
        throw error;
      });
      try {
        await network.setUp(true);
      } catch (error) {
        await network.stop();
        throw error;
      }
      network.watch(carrier);
      return { network, alreadyUp: false, plan: [] };
    });
  }

  /** @param all every network that is not down, instead of the one asked for */
  async down(asked: string, all: boolean, dryRun: boolean): Promise<{ names: string[]; plan: string[] }> {
    if (all && asked !== "") {
      throw new VpnError("usage", "--all and a network exclude each other", { hint: "drop one" });
    }
    const chosen = all ? this.all().filter((one) => one.config.up) : [this.get(asked)];
    const plan: string[] = [];
    for (const one of chosen) {
      await this.#on(one, async (network) => {
        if (dryRun) {
          plan.push(...network.planStop());
          return;
        }
        await network.setUp(false);
        await network.stop();
        this.#parts.log.info({ network: network.name }, "network is down");
      });
    }
    return { names: chosen.map((one) => one.name), plan };
  }

  /** Changes one network, alone. @throws VpnError when there is none to choose, or it is left meanwhile */
  change<T>(asked: string, work: (network: Network) => Promise<T>): Promise<T> {
    return this.#on(this.get(asked), work);
  }

  /** Takes everything down and keeps it joined; ends joins that are under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(
      new VpnError("cancelled", "vpnd is stopping", { hint: "try again once it is back" }),
    );
    await Promise.all(this.all().map((network) => network.exclusive(() => network.stop())));
  }

  async #joinNew(network: Network, request: JoinRequest, signal: AbortSignal): Promise<void> {
    try {
      const carrier = await network.start();
      if (!request.noWait) await waitForJoin(carrier, network.config, request, signal);
      signal.throwIfAborted();
      await network.keep();
      this.#parts.log.info({ network: network.name, fingerprint: network.fingerprint }, "network joined");
      if (request.noWait) network.watch(carrier);
    } catch (error) {
      await network.stop();
      this.#drop(network);
      throw error;
    }
    if (request.expectPeers > 0 && network.carrier) await this.#expectPeers(network, request, signal);
  }

  async #expectPeers(network: Network, request: JoinRequest, signal: AbortSignal): Promise<void> {
    const wanted = request.expectPeers;
    const up = (): number => network.carrier?.view().peers.filter((peer) => peer.state === "up").length ?? 0;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(request.timeoutMs)]);
    for await (const _ of this.feed.ticks(limit, 0)) if (up() >= wanted) return;
    signal.throwIfAborted();
    throw new VpnError("no-reply", `joined ${network.name}, but ${up()} of ${wanted} peers are up`, {
      hint: `see why: vpnctl peers -n ${network.name}`,
    });
  }

  /** Who has a claim against this network: those that were here before it, and those that are running. */
  #others(name: string): NetworkConfig[] {
    const inOrder = [...this.#networks.values()];
    const at = inOrder.findIndex((one) => one.name === name);
    const earlier = (index: number): boolean => at < 0 || index < at;
    return inOrder
      .filter((one, index) => index !== at && (earlier(index) || one.carrier !== undefined))
      .map((one) => one.config);
  }

  /** Runs under the network's lock, unless it was left meanwhile. */
  #on<T>(network: Network, work: (network: Network) => Promise<T>): Promise<T> {
    return network.exclusive(async () => {
      this.#stopping.signal.throwIfAborted();
      if (!network.joined) {
        throw new VpnError("not-found", `network ${network.name} was left`, { hint: "see: vpnctl networks" });
      }
      return work(network);
    });
  }

  #find(name: string): Network {
    this.#refuseDamaged(name);
    const network = this.#networks.get(name);
    if (!network) throw new VpnError("not-found", `network ${name} is not joined`);
    return network;
  }

  #refuseDamaged(name: string): void {
    const damaged = this.#damaged.get(name);
    if (!damaged) return;
    throw new VpnError("failed", `network ${name}: ${damaged.message}`, {
      hint: `put the file right and restart vpnd, or forget it: vpnctl leave ${name}`,
    });
  }

  #same(existing: Network, options: JoinOptions, psk: Uint8Array, password: string | undefined): boolean {
    const differs = differences(existing.config, options);
    if (Buffer.compare(existing.secrets.psk, psk) !== 0) differs.push("PSK");
    if (existing.secrets.password !== password)
      differs.push(options.gateway === undefined ? "password" : "token");
    if (differs.length === 0) return true;
    const what = differs.join(", ");
    const origin = this.declared.originOf(existing.name);
    const where = origin === undefined ? "" : `, because of ${origin}`;
    throw new VpnError(
      "conflict",
      `network ${existing.name} is joined already, with another ${what}${where}`,
      {
        hint:
          origin !== undefined
            ? "change it there and reload: systemctl reload vpnd"
            : howToChange(existing.name, differs),
      },
    );
  }

  #already(network: Network): JoinResult {
    const notes = network.config.up ? [] : [`it is down; bring it up: vpnctl up ${network.name}`];
    return { network, alreadyJoined: true, notes, plan: [] };
  }

  async #forgetDormant(name: string, dryRun: boolean): Promise<{ name: string; plan: string[] }> {
    if (dryRun) return { name, plan: [`forget network ${name} and its keys`] };
    await this.#parts.store.remove(name);
    this.declared.forget(name);
    return { name, plan: [] };
  }

  #make(stored: StoredNetwork, kept: boolean): Network {
    const { name } = stored.config;
    return new Network(stored, { ...this.#parts, onEvent: (event) => this.onEvent(name, event) }, kept);
  }

  #add(network: Network): Network {
    this.#networks.set(network.name, network);
    return network;
  }

  #drop(network: Network): void {
    this.#networks.delete(network.name);
    network.retire();
  }
}

/** What `set` does not change: with another one it is another network. */
const fixed = new Set([
  ...["--badger", "--tap", "--psk-file", "--tls-psk-file", "--postgres", "--fast", "password"],
  ...["--gateway", "--fanqiang", "--padding"],
]);

function howToChange(network: string, differs: readonly string[]): string {
  if (differs.some((one) => fixed.has(one)))
    return `another one needs another label; or leave it first: vpnctl leave ${network}`;
  const command = differs.join() === "PSK" ? "psk set" : "set";
  return `change it: vpnctl ${command} ${network}; or leave it first: vpnctl leave ${network}`;
}

function gatewayNotes({ url, routes }: GatewayClientOptions): string[] {
  return [
    ...(url.startsWith("wss:") ? [] : [openGatewayWarning]),
    ...(routes.length === 0 ? [nothingGoesNote] : []),
  ];
}

function joinNotes(config: NetworkConfig, psk: Uint8Array): string[] {
  if (config.asked.gateway !== undefined) return gatewayNotes(config.asked.gateway);
  if (config.asked.tcp !== undefined && !hasPsk(config.asked)) return [openLinkWarning];
  if (!config.asked.badger || !isWeak(psk)) return [];
  return ["the PSK is weak: who records the traffic can guess it"];
}
