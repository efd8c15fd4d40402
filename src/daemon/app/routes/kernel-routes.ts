/** Routes over a network's device for what was taken of its peers. */
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Reason } from "../../core/carrier.js";
import type { NetworkConfig } from "../../core/network/config.js";
import type { Item } from "../../core/system/items.js";
import type { SystemDoor } from "../../io/system/door.js";

export interface KernelRoutesParts {
  door: SystemDoor;
  config: () => NetworkConfig;
  log: Logger;
}

export class KernelRoutes {
  readonly #parts: KernelRoutesParts;
  readonly #installed = new Set<string>();
  readonly #failures = new Map<string, Reason>();

  constructor(parts: KernelRoutesParts) {
    this.#parts = parts;
  }

  /** Prefixes with a route of ours. */
  get installed(): ReadonlySet<string> {
    return this.#installed;
  }

  /** No route is missing. */
  get well(): boolean {
    return this.#failures.size === 0;
  }

  /** Why there is no route for a prefix, if one was wanted. */
  failure(prefix: string): Reason | undefined {
    return this.#failures.get(prefix);
  }

  /** What failed is tried again at the next `sync`. */
  tryAgain(): void {
    this.#failures.clear();
  }

  /** The changes that `sync` would make, a line each. */
  plan(wanted: readonly string[]): string[] {
    const { device } = this.#parts.config();
    const added = wanted.filter((prefix) => !this.#installed.has(prefix));
    const removed = [...this.#installed].filter((prefix) => !wanted.includes(prefix));
    return [
      ...added.map((prefix) => `add route ${prefix} over ${device}`),
      ...removed.map((prefix) => `remove route ${prefix} over ${device}`),
    ];
  }

  /** Makes exactly these routes; what fails is remembered, and not tried again before `tryAgain`. */
  async sync(wanted: readonly string[]): Promise<void> {
    const { name, device } = this.#parts.config();
    const part = (prefix: string): string => `${name}/routes/to/${prefix}`;
    for (const prefix of [...this.#installed]) {
      if (wanted.includes(prefix)) continue;
      await this.#parts.door.undo(part(prefix));
      this.#installed.delete(prefix);
    }
    for (const prefix of [...this.#failures.keys()]) {
      if (!wanted.includes(prefix)) this.#failures.delete(prefix);
    }
    for (const prefix of wanted) {
      if (this.#installed.has(prefix) || this.#failures.has(prefix)) continue;
      const item: Item = { kind: "route", device, prefix };
      try {
        await this.#parts.door.apply(part(prefix), [item]);
        this.#installed.add(prefix);
      } catch (error) {
        const { code, message } = VpnError.from(error, "failed");
        this.#failures.set(prefix, { code, message });
        this.#parts.log.warn({ network: name, prefix, err: error }, "cannot add a route");
      }
    }
  }

  /** All routes were taken back. */
  forget(): void {
    this.#installed.clear();
    this.#failures.clear();
  }
}
