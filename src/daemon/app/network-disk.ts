/** What of a network is on disk: nothing before it is joined for good, nothing after it was left. */
import type { Logger } from "pino";
import type { Rules } from "../core/filter/rules.js";
import { readPins, withoutPin } from "../core/mesh/pins.js";
import type { NetworkConfig } from "../core/network/config.js";
import type { Learned, NetworkSecrets, StateStore, StoredNetwork } from "../io/state/store.js";

export class NetworkDisk {
  readonly #store: StateStore;
  readonly #log: Logger;
  #learned: Learned;
  #kept: boolean;
  #wasKept: boolean;
  #writing: Promise<void> = Promise.resolve();

  /** @param kept it is there already */
  constructor(store: StateStore, learned: Learned, kept: boolean, log: Logger) {
    this.#store = store;
    this.#learned = learned;
    this.#kept = kept;
    this.#wasKept = kept;
    this.#log = log;
  }

  /** What it learned of its peers; also while nothing is written. */
  get learned(): Learned {
    return this.#learned;
  }

  /** It was there once: a join that failed never was. */
  get wasKept(): boolean {
    return this.#wasKept;
  }

  /** From now on the network, and what changes of it, is there. */
  async keep(network: StoredNetwork): Promise<void> {
    await this.#store.save(network);
    this.#kept = true;
    this.#wasKept = true;
  }

  /** Removes it; nothing is written for it any more. What cannot be removed stays whole, if the disk lets it. */
  async forget(network: StoredNetwork): Promise<void> {
    this.#kept = false;
    await this.#writing;
    try {
      await this.#store.remove(network.config.name);
    } catch (error) {
      this.#kept = true;
      await this.keep(network).catch(() => {});
      throw error;
    }
  }

  async saveConfig(config: NetworkConfig): Promise<void> {
    if (this.#kept) await this.#store.saveConfig(config);
  }

  async saveSecrets(name: string, secrets: NetworkSecrets): Promise<void> {
    if (this.#kept) await this.#store.saveSecrets(name, secrets);
  }

  async saveFilter(name: string, rules: Rules): Promise<void> {
    if (this.#kept) await this.#store.saveFilter(name, rules);
  }

  /** Written in the background; of what comes while that goes on, the last. */
  learn(name: string, learned: Learned): void {
    this.#learned = learned;
    if (!this.#kept) return;
    this.#writing = this.#writing.then(async () => {
      if (!this.#kept || this.#learned !== learned) return;
      await this.#store.saveLearned(name, learned).catch((error: unknown) => {
        this.#log.error({ network: name, err: error }, "cannot keep what was learned of peers");
      });
    });
  }

  /** Resolves when what was learned so far is written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Node keys by virtual IP. */
  pins(): Map<string, string> {
    return new Map(readPins(this.#learned.pins).map((pin) => [pin.address, pin.nodeKey]));
  }

  /** Forgets the node key of an address. For a network that is not running. @returns false: there was none */
  async forgetPin(name: string, virtualIp: string): Promise<boolean> {
    const pins = withoutPin(this.#learned.pins, virtualIp);
    if (pins === undefined) return false;
    const learned = { ...this.#learned, pins };
    await this.#writing;
    if (this.#kept) await this.#store.saveLearned(name, learned);
    this.#learned = learned;
    return true;
  }
}
