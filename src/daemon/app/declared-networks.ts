import type { Logger } from "pino";
import { formatOrigin } from "../../common/config/layer.js";
import { VpnError } from "../../common/errors.js";
import { hasPsk } from "../core/network/config.js";
import { declaredConfig, isAsDeclared } from "../core/network/declared.js";
import type { ReadyNetwork } from "../io/config/load.js";
import type { NetworkSecrets, StoredNetwork } from "../io/state/store.js";
import type { Network } from "./network.js";

/** What this needs of the networks. */
export interface DeclaredParts {
  find: (name: string) => Network | undefined;
  all: () => Network[];
  /** @param kept it is on disk already */
  add: (stored: StoredNetwork, kept: boolean) => Network;
  drop: (network: Network) => void;
  isDamaged: (name: string) => boolean;
  /** From then on nothing is brought up. */
  stopping: () => boolean;
  random: (bytes: number) => Uint8Array;
  hostName: string;
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** How long the former key is accepted after a psk_file got another one, milliseconds. */
const graceMs = 7 * 86_400_000;

/** Keeps networks as the config declares them. Those that were joined by hand are left alone. */
export class DeclaredNetworks {
  readonly #parts: DeclaredParts;
  #declared = new Map<string, ReadyNetwork>();
  /**
   * Networks that the config does not declare any more. Their node keys and pins stay on disk: a section that is missing for a
   * while, or a config file, must not cost a node its identity.
   */
  readonly #dormant = new Map<string, StoredNetwork>();

  constructor(parts: DeclaredParts) {
    this.#parts = parts;
  }

  /** "FILE:LINE" of the section of a network; undefined if it was joined by hand. */
  originOf(name: string): string | undefined {
    const declared = this.#declared.get(name);
    return declared && formatOrigin(declared.origin);
  }

  isDormant(name: string): boolean {
    return this.#dormant.has(name);
  }

  /** Puts a network of the disk to sleep before it is taken up, if it is there because of a config that is gone. */
  sleep(stored: StoredNetwork, declared: readonly ReadyNetwork[]): boolean {
    const { name } = stored.config;
    if (stored.config.declared !== true) return false;
    if (declared.some((one) => one.options.network === name)) return false;
    this.#dormant.set(name, stored);
    this.#parts.log.info({ network: name }, "network is not joined: the config no longer declares it");
    return true;
  }

  /** To be called when a network's files are removed. */
  forget(name: string): void {
    this.#dormant.delete(name);
  }

  /** @throws VpnError `failed` if the network is declared in a config file, which the error names */
  refuse(name: string, deed: "left" | "changed"): void {
    const origin = this.originOf(name);
    if (origin === undefined) return;
    const hint =
      deed === "left"
        ? `remove the section and reload: systemctl reload vpnd; until the next start: vpnctl down ${name}`
        : "change it there and reload: systemctl reload vpnd";
    throw new VpnError("failed", `network ${name} is declared in ${origin}, and can only be ${deed} there`, {
      hint,
    });
  }

  /**
   * Makes differences good: joins what is new, changes what is different, leaves what is gone. One network's failure is logged
   * and does not hold up others.
   * @param start also bring up and take down; otherwise only `config.up` is set
   * @returns labels of those that were touched
   */
  async apply(list: readonly ReadyNetwork[], start: boolean): Promise<string[]> {
    const before = this.#declared;
    this.#declared = new Map(list.map((one) => [one.options.network, one]));
    const touched: string[] = [];
    const attempt = async (name: string, work: () => Promise<boolean>): Promise<void> => {
      try {
        if (await work()) touched.push(name);
      } catch (error) {
        this.#parts.log.error(
          { network: name, err: error },
          "cannot make the network as the config declares it",
        );
      }
    };
    for (const network of this.#parts.all()) {
      if (network.config.declared !== true || this.#declared.has(network.name)) continue;
      await attempt(network.name, () => this.#leave(network));
    }
    for (const [name, wanted] of this.#declared) {
      await attempt(name, () => this.#make(name, wanted, before.get(name), start));
    }
    return touched;
  }

  async #leave(network: Network): Promise<boolean> {
    return network.exclusive(async () => {
      if (!network.joined) return false;
      await network.stop();
      this.#dormant.set(network.name, network.stored);
      this.#parts.drop(network);
      this.#parts.log.info({ network: network.name }, "network left: the config no longer declares it");
      return true;
    });
  }

  async #make(
    name: string,
    wanted: ReadyNetwork,
    before: ReadyNetwork | undefined,
    start: boolean,
  ): Promise<boolean> {
    if (this.#parts.isDamaged(name)) {
      throw new VpnError("failed", `the state files of network ${name} are damaged`, {
        hint: `put them aside with: vpnctl leave ${name}; then reload`,
      });
    }
    const existing = this.#parts.find(name) ?? this.#wake(name);
    if (!existing) return this.#join(wanted, start);
    const done = await existing.exclusive(async () => {
      if (this.#parts.stopping()) return false;
      // A join that was under way came to nothing.
      if (!existing.joined) return "gone";
      const same = isAsDeclared(existing.config, wanted.options);
      // A `vpnctl down` holds until the next start, unless the config itself says something new.
      const sameUp = before?.up === wanted.up || existing.config.up === wanted.up;
      const rotated = await this.#rotate(existing, wanted);
      const samePassword = existing.secrets.password === wanted.password;
      if (same && sameUp && samePassword) return rotated;
      const up = sameUp ? existing.config.up : wanted.up;
      await this.#change(existing, { ...wanted, up });
      if (start && up) await existing.startInBackground();
      return true;
    });
    return done === "gone" ? this.#make(name, wanted, before, start) : done;
  }

  /** A new key in the file is a rotation: the one before it is accepted for a while, as after `vpnctl psk set`. */
  async #rotate(network: Network, { options, psk }: ReadyNetwork): Promise<boolean> {
    if (!hasPsk(options) || !hasPsk(network.config.asked)) return false;
    if (Buffer.compare(network.secrets.psk, psk) === 0) return false;
    await network.psks.set(psk, graceMs);
    return true;
  }

  #wake(name: string): Network | undefined {
    const stored = this.#dormant.get(name);
    if (!stored) return undefined;
    this.#dormant.delete(name);
    // Down, so that it counts as different if it is to be up.
    return this.#parts.add({ ...stored, config: { ...stored.config, up: false } }, true);
  }

  /** Call under the network's `exclusive`. */
  async #change(network: Network, wanted: ReadyNetwork): Promise<void> {
    const { hostName, now, log } = this.#parts;
    const had = network.config;
    await network.stop();
    const config = declaredConfig(wanted, had, hostName, now());
    try {
      // A link that is encrypted from now on, or no more, has no key to rotate from.
      const { nodeSeed, password: _, ...psks } = network.secrets;
      const keyed = hasPsk(wanted.options) && hasPsk(had.asked);
      await network.become(config, { ...(keyed && psks), ...secretsOf(wanted), nodeSeed });
    } catch (error) {
      if (had.up) await network.startInBackground();
      throw error;
    }
    const what =
      had.declared === true ? "network changed as the config declares it" : "network is now the config's";
    log.info({ network: network.name, declared: formatOrigin(wanted.origin) }, what);
  }

  async #join(wanted: ReadyNetwork, start: boolean): Promise<boolean> {
    const { add, drop, random, hostName, now, log } = this.#parts;
    const config = declaredConfig(wanted, undefined, hostName, now());
    const secrets = { ...secretsOf(wanted), nodeSeed: random(32) };
    const network = add({ config, secrets, learned: {} }, false);
    return network.exclusive(async () => {
      try {
        await network.keep();
      } catch (error) {
        drop(network);
        throw error;
      }
      log.info({ network: config.name, declared: formatOrigin(wanted.origin) }, "network joined by config");
      if (start && config.up && !this.#parts.stopping()) await network.startInBackground();
      return true;
    });
  }
}

const secretsOf = ({ psk, password }: ReadyNetwork): Pick<NetworkSecrets, "psk" | "password"> => {
  return { psk, ...(password !== undefined && { password }) };
};
