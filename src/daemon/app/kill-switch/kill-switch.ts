import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Endpoint } from "../../core/engine.js";
import { checkAllowed, isLiteral } from "../../core/kill-switch/hosts.js";
import { splitAttached } from "../../core/kill-switch/lan.js";
import {
  killSwitchFamily,
  killSwitchStep,
  killSwitchTable,
  letThrough,
} from "../../core/kill-switch/rules.js";
import {
  type AllowedHost,
  asksTheSame,
  type KillSwitchOptions,
  type KillSwitchState,
} from "../../core/kill-switch/state.js";
import { describeStep } from "../../core/system/describe.js";
import type { Trace } from "../../core/system/footprint.js";
import {
  forgetKillSwitch,
  killSwitchFile,
  loadKillSwitch,
  saveKillSwitch,
} from "../../io/kill-switch/file.js";
import {
  attachedAddresses,
  isUp,
  type KillSwitchMachine,
  putUp,
  takeDown,
} from "../../io/kill-switch/machine.js";
import { Mutex } from "../mutex.js";

/** How to lift it, for messages. */
export const howToLift = "vpnctl kill-switch off; if vpnd is dead: sudo vpnd --cleanup --kill-switch";

/** How often its table is looked for while it is on, milliseconds. */
const lookEveryMs = 1_000;

export interface KillSwitchParts {
  machine: KillSwitchMachine;
  stateDir: string;
  /** Looks "HOST:PORT" up; an empty list when nobody knows it. */
  lookUp: (server: string) => Promise<Endpoint[]>;
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** What it has to know of the networks. */
export interface Tunnels {
  devices: readonly string[];
  /** "HOST:PORT" of rendezvous servers. */
  servers: readonly string[];
}

/** How it is now. */
export interface KillSwitchView {
  /** Absent: it is off. */
  state?: KillSwitchState;
  /** Whether its table is there. */
  inForce: boolean;
  table: string;
  /** What is let through, a line each. */
  through: string[];
}

export interface KillSwitchChange {
  plan: string[];
  notes: string[];
  /** It was as asked for. */
  already: boolean;
}

/**
 * The kill switch. Its table has a life of its own: no stop, crash or clean-up of vpnd takes it away, only `off`. What it is
 * made of is on the disk before it is in force.
 */
export class KillSwitch {
  readonly #parts: KillSwitchParts;
  readonly #mutex = new Mutex();
  #state: KillSwitchState | undefined;
  #looked = Number.NEGATIVE_INFINITY;
  #tunnels: () => Tunnels = () => ({ devices: [], servers: [] });

  private constructor(parts: KillSwitchParts) {
    this.#parts = parts;
  }

  /** Puts one that was left on in force again. @throws VpnError `failed` when that cannot be */
  static async open(parts: KillSwitchParts): Promise<KillSwitch> {
    const made = new KillSwitch(parts);
    const stored = await loadKillSwitch(parts.stateDir);
    if (!stored.on) return made;
    if (stored.damaged !== undefined) {
      parts.log.error({ reason: stored.damaged }, "the kill switch lets nothing through but new tunnels");
    }
    made.#state = stored.state;
    await putUp(parts.machine, stored.state);
    parts.log.warn({ through: letThrough(stored.state), lift: howToLift }, "the kill switch is on");
    return made;
  }

  get on(): boolean {
    return this.#state !== undefined;
  }

  async view(): Promise<KillSwitchView> {
    const state = this.#state;
    const table = `${killSwitchFamily} ${killSwitchTable}`;
    const inForce = await isUp(this.#parts.machine);
    if (state === undefined) return { inForce, table, through: [] };
    return { state, inForce, table, through: letThrough(state) };
  }

  /** What of it is on the machine; its file is listed with the others. */
  async footprint(): Promise<Trace[]> {
    const { state, inForce, table } = await this.view();
    if (state === undefined && !inForce) return [];
    const detail = "kill switch; stays when vpnd stops";
    return [{ kind: "nft-table", name: table, detail, network: "", present: inForce }];
  }

  /** Turns it on, or changes what it lets through without a moment in between. */
  turnOn(asked: KillSwitchOptions, dryRun: boolean): Promise<KillSwitchChange> {
    const options = { ...asked, allow: checkAllowed(asked.allow) };
    return this.#mutex.run(async () => {
      const before = this.#state;
      const { state, notes } = await this.#make(options);
      const already = before !== undefined && asksTheSame(before, options);
      if (dryRun) {
        const through = letThrough(state).map((line) => `let through ${line}`);
        return { plan: [describeStep(killSwitchStep(state)), ...through], notes, already };
      }
      await this.#adopt(state);
      if (!already) this.#parts.log.warn({ through: letThrough(state) }, "the kill switch was turned on");
      return { plan: [], notes, already };
    });
  }

  /** Lifts it. */
  turnOff(dryRun: boolean): Promise<KillSwitchChange> {
    return this.#mutex.run(async () => {
      const { machine, stateDir, log } = this.#parts;
      const already = this.#state === undefined && !(await isUp(machine));
      if (already) return { plan: [], notes: [], already };
      if (dryRun)
        return { plan: [`remove nftables table ${killSwitchFamily} ${killSwitchTable}`], notes: [], already };
      // In this order: one that is on disk comes back, one that is not could not be lifted any more.
      await takeDown(machine);
      await forgetKillSwitch(stateDir).catch((error: unknown) => {
        throw new VpnError("failed", `lifted for now, but it comes back: ${VpnError.from(error).message}`, {
          hint: `remove the file: rm ${killSwitchFile(stateDir)}`,
          cause: error,
        });
      });
      this.#state = undefined;
      log.warn("the kill switch was turned off");
      return { plan: [], notes: [], already };
    });
  }

  /**
   * Follows the networks until the signal aborts: their devices are let through, and a table that somebody took away comes
   * back. Never throws.
   * @param ticks yields whenever a network may have changed, and every few seconds
   */
  async follow(tunnels: () => Tunnels, ticks: AsyncIterable<void>): Promise<void> {
    this.#tunnels = tunnels;
    for await (const _ of ticks) {
      await this.#mutex
        .run(() => this.#refresh())
        .catch((error: unknown) => this.#parts.log.error({ err: error }, "the kill switch is as it was"));
    }
  }

  /** Addresses of a server: with the switch on those of the time when it was turned on, for there may be nobody to ask. */
  async resolve(server: string): Promise<Endpoint[]> {
    const known = this.#state?.servers.find((one) => one.name === server);
    return known === undefined ? this.#parts.lookUp(server) : [...known.endpoints];
  }

  async #refresh(): Promise<void> {
    const state = this.#state;
    if (state === undefined) return;
    const { devices } = this.#tunnels();
    const lan = state.allowLan ? (await this.#attached()).lan : [];
    const now = { ...state, devices: [...devices], lan };
    const changed = JSON.stringify([state.devices, state.lan]) !== JSON.stringify([now.devices, now.lan]);
    if (changed) return this.#adopt(now);
    // Networks change more often than somebody flushes nftables.
    const moment = performance.now();
    if (moment - this.#looked < lookEveryMs) return;
    this.#looked = moment;
    if (await isUp(this.#parts.machine)) return;
    await putUp(this.#parts.machine, state);
    this.#parts.log.warn("somebody removed the kill switch's nftables table: it is back");
  }

  /** On disk first: what is in force must outlive a crash. What cannot be put in force is forgotten again. */
  async #adopt(state: KillSwitchState): Promise<void> {
    const { machine, stateDir } = this.#parts;
    const before = this.#state;
    await saveKillSwitch(stateDir, state);
    try {
      await putUp(machine, state);
    } catch (error) {
      await (before === undefined ? forgetKillSwitch(stateDir) : saveKillSwitch(stateDir, before));
      throw error;
    }
    this.#state = state;
  }

  async #make({ allowLan, allow }: KillSwitchOptions): Promise<{ state: KillSwitchState; notes: string[] }> {
    const notes: string[] = [];
    const { devices, servers } = this.#tunnels();
    const allowed: AllowedHost[] = [];
    for (const name of allow) {
      const found = await this.#endpointsOf(name, this.#state?.allowed);
      if (found.length === 0) {
        throw new VpnError("failed", `${name} cannot be looked up`, { hint: "give its address instead" });
      }
      allowed.push({ name, endpoints: found });
    }
    const named: AllowedHost[] = [];
    for (const name of new Set(servers.filter((server) => !isLiteral(server)))) {
      const found = await this.#endpointsOf(name, this.#state?.servers);
      if (found.length > 0) named.push({ name, endpoints: found });
      else notes.push(`server ${name} cannot be looked up now, and not while the kill switch is on`);
    }
    const { lan, refused } = allowLan ? await this.#attached() : { lan: [], refused: [] };
    for (const prefix of refused) notes.push(`${prefix} is attached, but no private subnet: it stays shut`);
    if (devices.length === 0) notes.push("no network is joined: nothing leaves until one is");
    const since = this.#state?.since ?? this.#parts.now();
    return {
      state: { since, allowLan, allowed, lan, devices: [...devices], servers: named },
      notes,
    };
  }

  /** Those known from before win: with the switch on a look-up would find nobody. */
  async #endpointsOf(name: string, known: readonly AllowedHost[] | undefined): Promise<string[]> {
    if (isLiteral(name)) return [name];
    const before = known?.find((host) => host.name === name)?.endpoints;
    return [...(before ?? (await this.#parts.lookUp(name)))];
  }

  async #attached(): Promise<{ lan: string[]; refused: string[] }> {
    return splitAttached(await attachedAddresses(this.#parts.machine, this.#tunnels().devices));
  }
}
