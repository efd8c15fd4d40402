/** What an exit node in use needs of this machine, brought into force through the door: routes, rules, and the guard. */
import type { Logger } from "pino";
import { innerCidr6 } from "../../core/exit-node/addresses.js";
import type { ChosenExit } from "../../core/exit-node/choose.js";
import { exceptionItems, type Family, guardItems, tunnelItems } from "../../core/exit-node/client-items.js";
import { splitAttached } from "../../core/kill-switch/lan.js";
import type { Item } from "../../core/system/items.js";
import { etherAddresses } from "../../io/exit-node/uplinks.js";
import type { SystemDoor } from "../../io/system/door.js";
import type { Network } from "../network.js";
import { applyExtras } from "./extras.js";

/** In the journal it is nobody's network. */
export const exitOwner = "/exit-node";
/** What stays while tunnels come and go, and while vpnd starts again after a crash. */
export const guardOwner = `${exitOwner}/guard`;
/** How often somebody else's changes to our rules are looked for, milliseconds. */
const lookEveryMs = 4_000;

/** What the rules depend on. */
export interface ExitWay {
  allowLan: boolean;
  /** All of them; the exit node's is one. */
  networks: readonly Network[];
  /** Absent: it is gone. */
  network: Network | undefined;
  active: ChosenExit["active"];
}

export class ExitRules {
  readonly #door: SystemDoor;
  readonly #log: Logger;
  /** What was brought about, to tell when it has to be looked at again. */
  #inForce = "";
  #looked = Number.NEGATIVE_INFINITY;
  readonly #installed = new Set<string>();

  constructor(parts: { door: SystemDoor; log: Logger }) {
    this.#door = parts.door;
    this.#log = parts.log;
  }

  /** Nothing leaves but through a tunnel from now on. @throws VpnError `failed` */
  async guard(): Promise<void> {
    await this.#ensureGuard();
    await applyExtras({ door: this.#door, log: this.#log });
  }

  /** What of it is not in force yet, a line each. @param guarded it is guarded already */
  async plan(way: ExitWay, guarded: boolean): Promise<string[]> {
    const wanted = await this.#wanted(way);
    const fresh = [...wanted].filter(([name]) => !this.#installed.has(name)).flatMap(([, items]) => items);
    const guard = guarded ? [] : guardItems(await this.#families());
    return this.#door.plan([...fresh, ...guard]);
  }

  /**
   * Brings it about, if anything changed or somebody else may have changed it.
   * @param first for the first time: without the guard, which comes when the way is there
   * @returns false: it was all in force
   */
  async follow(way: ExitWay, first: boolean): Promise<boolean> {
    const wanted = await this.#wanted(way);
    // A device of the same name may be another one.
    const key = JSON.stringify([way.network?.since, ...wanted]);
    const moment = performance.now();
    if (!first && key === this.#inForce && moment - this.#looked < lookEveryMs) return false;
    this.#looked = moment;
    await this.#bring(wanted);
    if (!first && (await this.#ensureGuard())) {
      this.#log.warn("somebody removed rules of the exit node: they are back");
    }
    this.#inForce = key;
    return true;
  }

  /** Takes all of it back. */
  async undo(): Promise<void> {
    await this.#door.undo(exitOwner);
    this.#installed.clear();
    this.#inForce = "";
  }

  /** @returns somebody had removed some of it */
  async #ensureGuard(): Promise<boolean> {
    return this.#door.ensure(guardOwner, guardItems(await this.#families()));
  }

  async #bring(wanted: ReadonlyMap<string, readonly Item[]>): Promise<void> {
    for (const name of this.#installed) {
      if (wanted.has(name)) continue;
      await this.#door.undo(`${exitOwner}/${name}`);
      this.#installed.delete(name);
    }
    for (const [name, items] of wanted) {
      await this.#door.ensure(`${exitOwner}/${name}`, items).catch((error: unknown) => {
        // Without IPv6 the rest still works, and nothing leaks.
        if (name !== "tunnel-6") throw error;
        this.#log.warn({ err: error }, "no IPv6 through the exit node");
      });
      this.#installed.add(name);
    }
  }

  /** Parts of what is wanted of the machine, by name, besides the guard. */
  async #wanted({ allowLan, networks, network, active }: ExitWay): Promise<Map<string, Item[]>> {
    const tunnels = networks.flatMap((one) => [...one.prefixes, ...one.routes.installed]);
    const devices = networks.map((one) => one.config.device);
    const lan = allowLan ? splitAttached(etherAddresses(devices)).lan : [];
    const families = await this.#families();
    const parts = new Map(
      [...exceptionItems({ tunnels, lan })].filter(([name]) => families.includes(name.includes(":") ? 6 : 4)),
    );
    if (network?.carrier === undefined) return parts;
    const { device, asked } = network.config;
    if (!asked.virtualIp.includes(":")) parts.set("tunnel-4", tunnelItems(device, 4));
    if (active?.v6 === true && families.includes(6)) {
      parts.set("tunnel-6", tunnelItems(device, 6, innerCidr6(asked.virtualIp)));
    }
    return parts;
  }

  /** IPv6 may be missing from the kernel; then nothing can leak by it. */
  async #families(): Promise<Family[]> {
    const six = await this.#door.readSetting("net/ipv6/conf/all/disable_ipv6");
    return six === undefined ? [4] : [4, 6];
  }
}
