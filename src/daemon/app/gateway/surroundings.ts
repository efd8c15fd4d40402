/** What a gateway wants of the machine around it: translation, forwarding, and who may talk to whom. */
import type { Logger } from "pino";
import { flowLimitItems } from "../../core/gateway/flow-limit.js";
import { refuseTakenSubnets } from "../../core/gateway/free-subnets.js";
import { type IntoNetwork, leadInto } from "../../core/gateway/into.js";
import { clientDevices, gatewayItems, type NatParts } from "../../core/gateway/nat.js";
import { type GatewayOptions, isLocal } from "../../core/gateway/options.js";
import { timeoutItems } from "../../core/gateway/timeouts.js";
import { forwardingKey6 } from "../../core/routes/offer-items.js";
import type { SystemDoor } from "../../io/system/door.js";
import type { Forwarding } from "../routes/forwarding.js";

/** A network of this vpnd. */
export interface NearNetwork {
  name: string;
  device: string;
  /** CIDR, of this node; none: not known now. */
  addresses: readonly string[];
}

export interface SurroundingsParts {
  door: SystemDoor;
  forwarding: Forwarding;
  /** Whether the gateway does TLS itself. */
  tls: () => boolean;
  /** Of this vpnd: clients get only to the one that is asked for. */
  networks: () => NearNetwork[];
  log: Logger;
}

interface Look {
  nat: NatParts;
  /** Forwarded between them and clients' devices. */
  devices: string[];
  into: IntoNetwork | undefined;
  /** The machine forwards IPv6 of clients, or will. */
  six: boolean;
  notes: string[];
}

/** In the journal it is nobody's network. */
const owner = "/gateway";
/** Of `Forwarding`'s wishes. */
const wish = "/gateway";

const openNote = "whoever finds the gateway may use it: stop it, or add users and start it without --open";
const fanqiangNote =
  "--fanqiang implies --open, at every path: clients of fanqiang-poc have no tokens, and whoever finds the gateway may use it";
const plainNote =
  "the gateway itself does not encrypt: put it behind a web server with TLS, or clients' traffic and tokens can be read on the way";
const noSixNote =
  "IPv6 of clients goes nowhere: this machine does not forward IPv6 and listens to router advertisements; if it is meant to be a router: sysctl net.ipv6.conf.all.forwarding=1";
const noTimeoutsNote =
  "this kernel has no time-outs by rule: connections of clients that vanished are remembered as long as all others";
const noLimitNote =
  "this kernel cannot count connections by rule: one client can fill its table of connections, and keep others from new ones";

/** Without these the gateway still works, and says what is missing. */
const whereTheKernelCan = [
  { part: "timeouts", items: timeoutItems, note: noTimeoutsNote },
  { part: "limits", items: flowLimitItems, note: noLimitNote },
] as const;

export class Surroundings {
  readonly #parts: SurroundingsParts;

  constructor(parts: SurroundingsParts) {
    this.#parts = parts;
  }

  /**
   * All of it, or nothing.
   * @returns the network that clients get to, whether they have IPv6, and notes for people
   * @throws VpnError `not-found` or `failed` when there is no such network now, else as the door
   */
  async bringAbout(options: GatewayOptions): Promise<Pick<Look, "into" | "six" | "notes">> {
    const { door, forwarding, log } = this.#parts;
    const { nat, devices, into, six, notes } = await this.#look(options, "new");
    try {
      await door.apply(owner, gatewayItems(options, nat));
      await forwarding.want(wish, clientDevices, devices, false);
    } catch (error) {
      await this.takeBack();
      throw error;
    }
    const said = [...notes];
    for (const { part, items, note } of whereTheKernelCan) {
      try {
        await door.apply(`${owner}/${part}`, items);
      } catch (error) {
        log.warn({ err: error, part }, "the kernel cannot do it for clients of the gateway");
        said.push(note);
      }
    }
    return { into, six, notes: said };
  }

  /** Never throws. */
  async takeBack(): Promise<void> {
    await this.#parts.forwarding.release(wish);
    await this.#parts.door.undo(owner);
  }

  /** For devices that were made anew. @throws as `bringAbout` */
  async forwardAgain(options: GatewayOptions): Promise<void> {
    const { devices } = await this.#look(options, "running");
    await this.#parts.forwarding.release(wish);
    await this.#parts.forwarding.want(wish, clientDevices, devices, false);
  }

  /** What `bringAbout` would do, a line each. */
  async plan(options: GatewayOptions): Promise<{ plan: string[]; notes: string[] }> {
    const { nat, devices, notes } = await this.#look(options, "new");
    const extras = whereTheKernelCan.flatMap(({ items }) => items);
    const steps = await this.#parts.door.plan([...gatewayItems(options, nat), ...extras]);
    const forward =
      devices.length === 0 ? [] : [`forward between ${devices.join(", ")} and devices of clients`];
    return { plan: [...steps, ...forward], notes };
  }

  /** What `takeBack` would do, a line each. */
  planUndo(): string[] {
    return this.#parts.door.planUndo(owner);
  }

  async #look(options: GatewayOptions, gateway: "new" | "running"): Promise<Look> {
    const { door, networks, tls } = this.#parts;
    const into = leadInto(options.into, networks());
    const own = new Set(["lo", "", ...networks().map(({ device }) => device)]);
    const local = await door.localPrefixes();
    if (gateway === "new") refuseTakenSubnets(options.subnets, local);
    const lans = [...new Set(local.map(({ device }) => device))].filter(
      (device) => !own.has(device) && !device.startsWith(clientDevices.slice(0, -1)),
    );
    // It may be down now, and come back with another device of that name.
    const there = into !== undefined && (await door.hasLink(into.device));
    const devices = there ? [...lans, into.device] : lans;
    const notes = [
      ...(options.fanqiang ? [fanqiangNote] : options.open ? [openNote] : []),
      ...(isLocal(options.listen) || tls() ? [] : [plainNote]),
    ];
    const asItIs = { guarded6: [], turnOn6: false };
    if (options.subnets.length < 2 || (await door.readSetting(forwardingKey6)) === "1")
      return { nat: asItIs, devices, into, six: true, notes };
    for (const device of lans) {
      if ((await door.readSetting(`net/ipv6/conf/${device}/accept_ra`)) === "1")
        return { nat: asItIs, devices, into, six: false, notes: [...notes, noSixNote] };
    }
    const turnOn6 = (await door.readSetting(forwardingKey6)) === "0";
    return { nat: { guarded6: turnOn6 ? devices : [], turnOn6 }, devices, into, six: true, notes };
  }
}
