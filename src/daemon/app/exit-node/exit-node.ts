import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Endpoint } from "../../core/engine.js";
import { type ChosenExit, carriedBy, chooseExit } from "../../core/exit-node/choose.js";
import { type ExitUse, type KnownServer, sameUse } from "../../core/exit-node/state.js";
import { isLiteral } from "../../core/kill-switch/hosts.js";
import { serversOf } from "../../core/network/servers.js";
import { exitUseFile, forgetUse, loadUse, saveUse } from "../../io/exit-node/file.js";
import type { SystemDoor } from "../../io/system/door.js";
import type { KillSwitch } from "../kill-switch/kill-switch.js";
import { Mutex } from "../mutex.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import { clientOf, type ExitChange, refuseWithoutDevice } from "./change-offer.js";
import { ExitRules, type ExitWay, exitOwner } from "./exit-rules.js";

const tickMs = 2_000;
/** A remark for people. */
const noResolvers =
  "the exit node names no resolvers: those of this machine are asked by way of it, which private ones do not answer";

export interface ExitNodeParts {
  door: SystemDoor;
  stateDir: string;
  killSwitch: KillSwitch;
  /** Looks "HOST:PORT" up; an empty list when nobody knows it. */
  lookUp: (server: string) => Promise<Endpoint[]>;
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
}

export interface UseRequest {
  /** Empty: the only one. */
  network: string;
  /** In the order of their preference, or "auto" alone. */
  peers: readonly string[];
  allowLan: boolean;
  killSwitch: boolean;
  dryRun: boolean;
}

/** The exit node that this machine uses, if any. One at a time for the whole machine. */
export class ExitNode {
  readonly #parts: ExitNodeParts;
  readonly #mutex = new Mutex();
  #networks: Networks | undefined;
  #use: ExitUse | undefined;
  #chosen: ChosenExit = { exits: [] };
  readonly #rules: ExitRules;

  private constructor(parts: ExitNodeParts) {
    this.#parts = parts;
    this.#rules = new ExitRules(parts);
  }

  /** Reads what was decided before; `guard` brings it into force. */
  static async open(parts: ExitNodeParts): Promise<ExitNode> {
    const made = new ExitNode(parts);
    const stored = await loadUse(parts.stateDir);
    if (!stored.used) return made;
    made.#use = stored.use;
    if (stored.damaged !== undefined) {
      parts.log.error({ reason: stored.damaged }, "nothing leaves until: vpnctl exit-node off");
    }
    return made;
  }

  get used(): boolean {
    return this.#use !== undefined;
  }

  /** What the user asked for. */
  get asked(): ExitUse | undefined {
    return this.#use;
  }

  /** Who offers in a network, and what becomes of it. */
  look(network: Network): ChosenExit {
    const use = this.#use?.network === network.name ? this.#use : undefined;
    return this.#choose(use, network);
  }

  /** Nothing leaves but through a tunnel from now on; call it before networks start. @throws VpnError `failed` */
  async guard(): Promise<void> {
    const use = this.#use;
    if (use === undefined) return;
    await this.#rules.guard();
    this.#parts.log.warn({ network: use.network }, "all traffic goes through an exit node");
  }

  /**
   * Sends all traffic through a peer.
   * @throws VpnError `failed` when none of them can carry it now; then everything is as it was
   */
  async use(networks: Networks, request: UseRequest): Promise<ExitChange> {
    return networks.change(request.network, (network) =>
      this.#mutex.run(() => this.#start(networks, network, request)),
    );
  }

  /** Traffic takes the machine's own routes again. */
  off(dryRun: boolean): Promise<Omit<ExitChange, "network">> {
    return this.#mutex.run(async () => {
      const { door, log } = this.#parts;
      const use = this.#use;
      if (use === undefined) return { plan: [], notes: [], already: true };
      const lift = await this.#isOurSwitch(use);
      if (dryRun) {
        const plan = [...door.planUndo(exitOwner), ...(lift ? ["turn the kill switch off"] : [])];
        return { plan, notes: [], already: false };
      }
      await this.#takeBack();
      await forgetUse(this.#parts.stateDir).catch((error: unknown) => {
        throw new VpnError("failed", `off for now, but it comes back: ${VpnError.from(error).message}`, {
          hint: `remove the file: rm ${exitUseFile(this.#parts.stateDir)}`,
          cause: error,
        });
      });
      if (lift) await this.#parts.killSwitch.turnOff(false);
      log.warn("no exit node is used any more");
      return { plan: [], notes: await this.#switchNotes(), already: false };
    });
  }

  /**
   * Follows networks and their peers until it is ended: another peer takes over, devices come and go. Never throws.
   * @returns ends it
   */
  follow(networks: Networks): () => Promise<void> {
    this.#networks = networks;
    const stop = new AbortController();
    const run = async (): Promise<void> => {
      for await (const _ of networks.feed.ticks(stop.signal, tickMs)) {
        await this.#mutex
          .run(() => this.#sync())
          .catch((error: unknown) => this.#parts.log.error({ err: error }, "the exit node is as it was"));
      }
    };
    const done = run();
    return async () => {
      stop.abort();
      await done;
    };
  }

  /** Addresses of a server: those of the time when the exit node was chosen, for look-ups need the tunnel first. */
  async resolve(server: string): Promise<Endpoint[]> {
    const known = this.#use?.servers.find((one) => one.name === server);
    return known === undefined ? this.#parts.lookUp(server) : [...known.endpoints];
  }

  /** @throws VpnError `conflict` while it carries this machine's traffic */
  refuseLeave(network: string): void {
    if (this.#use?.network !== network) return;
    throw new VpnError("conflict", `all traffic goes through an exit node of network ${network}`, {
      hint: "first: vpnctl exit-node off",
    });
  }

  async #start(networks: Networks, network: Network, request: UseRequest): Promise<ExitChange> {
    const { log, now, stateDir, killSwitch } = this.#parts;
    const asked = this.#asked(network, request);
    const { notes, servers } = await this.#servers(networks);
    const before = this.#use;
    const use: ExitUse = { ...asked, since: before?.since ?? now(), servers };
    if (before?.killSwitch !== undefined) use.killSwitch = before.killSwitch;
    const chosen = this.#choose(use, network);
    if (chosen.active === undefined) throw noExit(chosen, network.routes.canOffer);
    const already = before !== undefined && sameUse(before, use) && (!request.killSwitch || killSwitch.on);
    const change = { network: network.name, notes, plan: [] as string[], already };
    if (request.dryRun) {
      const plan = already ? [] : await this.#plan(use, network, request.killSwitch);
      return { ...change, plan };
    }
    if (request.killSwitch && !killSwitch.on) {
      const { notes: more } = await killSwitch.turnOn({ allowLan: use.allowLan, allow: [] }, false);
      notes.push(...more);
      const since = (await killSwitch.view()).state?.since;
      if (since !== undefined) use.killSwitch = since;
    }
    this.#networks = networks;
    try {
      await saveUse(stateDir, use);
      this.#use = use;
      // First the way, then what sends everything there.
      await this.#sync(true);
      await network.routes.sync();
      notes.push(...(await this.#askThrough(network)));
      await this.#rules.guard();
    } catch (error) {
      await this.#restore(before);
      throw VpnError.from(error, "failed");
    }
    if (!already) log.warn({ network: network.name, exit: chosen.active.virtualIp }, "exit node in use");
    if (chosen.active.v6 || network.config.asked.virtualIp.includes(":")) return change;
    notes.push("it carries no IPv6: that goes nowhere until exit-node off");
    return change;
  }

  /** Back to what was in force before something failed. */
  async #restore(before: ExitUse | undefined): Promise<void> {
    const failed = this.#use;
    if (failed?.killSwitch !== undefined && before?.killSwitch === undefined) {
      await this.#parts.killSwitch.turnOff(false).catch(() => {});
    }
    if (before === undefined) {
      await this.#takeBack();
      await forgetUse(this.#parts.stateDir).catch(() => {});
      return;
    }
    await saveUse(this.#parts.stateDir, before).catch(() => {});
    this.#use = before;
    await this.#sync(true).catch(() => {});
  }

  async #takeBack(): Promise<void> {
    this.#use = undefined;
    this.#chosen = { exits: [] };
    await this.#rules.undo();
    for (const network of this.#networks?.all() ?? []) {
      network.routes.carry(new Map());
      await network.names.through([]);
    }
  }

  /** @throws VpnError `usage`, or as `findPeer` */
  #asked(network: Network, request: UseRequest): Pick<ExitUse, "network" | "peers" | "allowLan"> {
    refuseWithoutDevice(network);
    if (network.carrier === undefined) {
      throw new VpnError("failed", `network ${network.name} is not up`, {
        hint: `bring it up: vpnctl up ${network.name}`,
      });
    }
    const { allowLan } = request;
    if (request.peers.length === 0) {
      throw new VpnError("usage", "no peer named", { hint: "see who offers: vpnctl exit-node list" });
    }
    if (request.peers.join() === "auto") return { network: network.name, peers: "auto", allowLan };
    const peers = request.peers.map((peer) => clientOf(network, peer));
    return { network: network.name, peers, allowLan };
  }

  #choose(use: ExitUse | undefined, network: Network): ChosenExit {
    const announced = network.carrier?.announcements?.() ?? [];
    return chooseExit(use, announced, this.#chosen.active?.nodeKey);
  }

  async #plan(use: ExitUse, network: Network, withSwitch: boolean): Promise<string[]> {
    const { killSwitch } = this.#parts;
    const chosen = this.#choose(use, network);
    const who = chosen.active?.name ?? chosen.active?.virtualIp ?? "";
    return [
      `send all traffic through ${who}`,
      ...(withSwitch && !killSwitch.on ? ["turn the kill switch on"] : []),
      ...(await this.#rules.plan(this.#way(use, network, chosen), this.#use !== undefined)),
    ];
  }

  #way({ allowLan }: ExitUse, network: Network | undefined, { active }: ChosenExit): ExitWay {
    const networks = this.#networks?.all() ?? (network === undefined ? [] : [network]);
    return { allowLan, networks, network, active };
  }

  /** @param look also if nothing of ours changed */
  async #sync(look = false): Promise<void> {
    const use = this.#use;
    const networks = this.#networks;
    if (use === undefined || networks === undefined) return;
    const network = networks.all().find((one) => one.name === use.network);
    const before = this.#chosen.active?.nodeKey;
    this.#chosen = network === undefined ? chooseExit(use, [], undefined) : this.#choose(use, network);
    const { active } = this.#chosen;
    if (before !== active?.nodeKey) this.#tell(before !== undefined);
    for (const one of networks.all()) {
      const its = one === network && active !== undefined;
      const carried = its ? [[active.nodeKey, carriedBy(active, one.config.asked.virtualIp)] as const] : [];
      one.routes.carry(new Map(carried));
    }
    const changed = await this.#rules.follow(this.#way(use, network, this.#chosen), look);
    if (changed && !look && network !== undefined) await this.#askThrough(network);
  }

  /** Names too are asked of the exit node, or of whom it names. @returns why not, for people */
  async #askThrough(network: Network): Promise<string[]> {
    for (const other of this.#networks?.all() ?? []) if (other !== network) await other.names.through([]);
    const { active } = this.#chosen;
    // Of one that is away nobody else is asked.
    if (active === undefined) return [];
    try {
      const resolvers = network.carrier?.resolvers?.() ?? [active.virtualIp];
      await network.names.through(resolvers);
      return resolvers.length > 0 ? [] : [noResolvers];
    } catch (error) {
      const { message } = VpnError.from(error);
      this.#parts.log.warn({ reason: message }, "names are asked as before, through the exit node");
      return [`names are not asked of the exit node: ${message}`];
    }
  }

  #tell(hadOne: boolean): void {
    const { active, reason } = this.#chosen;
    const { log } = this.#parts;
    if (active === undefined) log.error({ reason }, "no exit node carries traffic: nothing leaves");
    else if (hadOne) log.warn({ exit: active.virtualIp, name: active.name }, "another exit node took over");
    else log.info({ exit: active.virtualIp, name: active.name }, "exit node carries all traffic");
  }

  async #servers(networks: Networks): Promise<{ servers: KnownServer[]; notes: string[] }> {
    const servers: KnownServer[] = [];
    const notes: string[] = [];
    const named = networks.all().flatMap(({ config }) => serversOf(config));
    for (const name of new Set(named)) {
      if (isLiteral(name)) continue;
      const endpoints = await this.resolve(name);
      if (endpoints.length > 0) servers.push({ name, endpoints });
      else notes.push(`server ${name} cannot be looked up now; later that needs the tunnel first`);
    }
    return { servers, notes };
  }

  async #isOurSwitch(use: ExitUse): Promise<boolean> {
    if (use.killSwitch === undefined) return false;
    return (await this.#parts.killSwitch.view()).state?.since === use.killSwitch;
  }

  async #switchNotes(): Promise<string[]> {
    if (!this.#parts.killSwitch.on) return [];
    return [
      "the kill switch stays on, and nothing leaves but through tunnels; to lift it: vpnctl kill-switch off",
    ];
  }
}

/** @param peers offer by themselves; a gateway carries what it was started for */
function noExit({ exits, reason }: ChosenExit, peers: boolean): VpnError {
  const [first] = exits;
  const who = first === undefined ? "a peer" : (first.name ?? first.virtualIp);
  const hint =
    reason?.code === "withdrawn"
      ? `on ${who}: ${peers ? "vpnctl exit-node offer" : "vpnctl gateway start, without --no-internet"}`
      : "see who is there: vpnctl exit-node list; vpnctl peers";
  return new VpnError("failed", reason?.message ?? "nobody offers to be an exit node", { hint });
}
