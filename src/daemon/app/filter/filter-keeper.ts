import { VpnError } from "../../../common/errors.js";
import type { Carrier } from "../../core/carrier.js";
import { boundTo, engineFilter, isNoRules, isWaiting, type Rules } from "../../core/filter/rules.js";
import type { PeerNames } from "../../core/network/find-peer.js";

export interface FilterKeeperParts {
  network: string;
  save: (rules: Rules) => Promise<void>;
  /** What could not be kept. */
  onError: (error: unknown) => void;
}

/** A network's filter rules: on disk first, then in force; a rule for somebody who is not there yet waits for him. */
export class FilterKeeper {
  readonly #parts: FilterKeeperParts;
  #rules: Rules;
  #carrier: Carrier | undefined;
  /** A change is being written. */
  #busy = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(rules: Rules, parts: FilterKeeperParts) {
    this.#rules = rules;
    this.#parts = parts;
  }

  get rules(): Rules {
    return this.#rules;
  }

  /** Peers that rules may be for: those of the running carrier. */
  known(): PeerNames[] {
    const { network } = this.#parts;
    return (this.#carrier?.view().peers ?? []).map(({ virtualIp, name }) => ({
      network,
      virtualIp,
      ...(name !== undefined && { name }),
    }));
  }

  /** Puts the rules in force before a carrier starts. @throws VpnError `failed` if there are rules and it cannot filter */
  use(carrier: Carrier): void {
    if (carrier.setFilter === undefined && !isNoRules(this.#rules)) throw this.#cannot();
    this.#carrier = carrier;
    if (!isNoRules(this.#rules)) this.#apply();
  }

  /** The carrier is stopped. */
  release(): void {
    this.#carrier = undefined;
  }

  /** @throws VpnError; then nothing has changed */
  async set(rules: Rules): Promise<void> {
    if (this.#carrier !== undefined && this.#carrier.setFilter === undefined) throw this.#cannot();
    this.#busy = true;
    try {
      await this.#writing;
      await this.#parts.save(rules);
      this.#rules = rules;
      this.#apply();
    } finally {
      this.#busy = false;
    }
    this.look();
  }

  /** Looks for peers that rules wait for. To be called when peers have changed; cheap while no rule waits. */
  look(): void {
    if (this.#busy || this.#carrier === undefined || !isWaiting(this.#rules)) return;
    const bound = boundTo(this.#rules, this.known());
    if (bound === this.#rules) return;
    this.#rules = bound;
    this.#apply();
    this.#writing = this.#writing.then(() => this.#parts.save(bound)).catch(this.#parts.onError);
  }

  #apply(): void {
    this.#carrier?.setFilter?.(engineFilter(this.#rules));
  }

  #cannot(): VpnError {
    return new VpnError("failed", `the carrier of network ${this.#parts.network} cannot filter`, {
      hint: `without rules it works: vpnctl -n ${this.#parts.network} rules clear`,
    });
  }
}
