import { VpnError } from "../../../common/errors.js";
import { forwardingItems, forwardingKey, forwardingKey6 } from "../../core/routes/offer-items.js";
import type { SystemDoor } from "../../io/system/door.js";
import { Mutex } from "../mutex.js";

interface Wish {
  tunnel: string;
  lans: readonly string[];
}

/** In the journal it is nobody's network. */
const owner = "/forwarding";

/** Forwarding between tunnels and LANs for all networks together: they may share a LAN. */
export class Forwarding {
  readonly #door: SystemDoor;
  readonly #mutex = new Mutex();
  readonly #wishes = new Map<string, Wish>();
  /** LANs that were not forwarded from before us. */
  #ours = new Set<string>();
  /** Devices that are forwarded from because of us, at least since then. */
  #set = new Set<string>();
  #inForce = "";

  constructor(door: SystemDoor) {
    this.#door = door;
  }

  /**
   * From now on the network's packets are forwarded between its device and these.
   * @param six also IPv6
   * @throws VpnError `failed`; then what was before is in force, as far as possible
   */
  want(network: string, tunnel: string, lans: readonly string[], six: boolean): Promise<void> {
    return this.#mutex.run(async () => {
      if (six && (await this.#door.readSetting(forwardingKey6)) !== "1") {
        // It also makes the machine ignore router advertisements, by which it may have its own address.
        throw new VpnError("failed", "this machine does not forward IPv6", {
          hint: "if it is meant to be a router: sysctl net.ipv6.conf.all.forwarding=1",
        });
      }
      const before = this.#wishes.get(network);
      this.#wishes.set(network, { tunnel, lans });
      try {
        await this.#apply();
      } catch (error) {
        if (before === undefined) this.#wishes.delete(network);
        else this.#wishes.set(network, before);
        await this.#apply().catch(() => {});
        throw error;
      }
    });
  }

  /** Never throws. */
  release(network: string): Promise<void> {
    return this.#mutex.run(async () => {
      if (this.#wishes.delete(network)) await this.#apply().catch(() => {});
    });
  }

  async #apply(): Promise<void> {
    const wishes = [...this.#wishes.values()].filter((one) => one.lans.length > 0);
    const tunnels = wishes.map((one) => one.tunnel).sort();
    // A tunnel that others take for a LAN is guarded by its own network's rules.
    const lans = [...new Set(wishes.flatMap((one) => one.lans))]
      .filter((lan) => !tunnels.includes(lan))
      .sort();
    const next = JSON.stringify([tunnels, lans]);
    if (next === this.#inForce) return;
    this.#inForce = "";
    if (lans.length === 0) {
      this.#ours = new Set();
      this.#set = new Set();
      await this.#door.undo(owner);
    } else {
      const ours = new Set<string>();
      for (const lan of lans) {
        if (
          this.#ours.has(lan) ||
          this.#set.has(lan) ||
          (await this.#door.readSetting(forwardingKey(lan))) === "0"
        )
          ours.add(lan);
      }
      this.#ours = ours;
      this.#set = new Set([...tunnels, ...ours]);
      await this.#door.apply(owner, forwardingItems(tunnels, [...ours].sort()));
    }
    this.#inForce = next;
  }
}
