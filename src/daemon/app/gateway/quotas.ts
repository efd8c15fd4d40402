/** Quotas of a gateway's users, across restarts. */
import type { Logger } from "pino";
import { Usage } from "../../core/gateway/usage.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import type { GatewayStore } from "../../io/gateway/store.js";

/** A vpnd that is killed forgets what was used within so long, milliseconds. */
const saveMs = 30_000;

export class Quotas {
  readonly #store: GatewayStore;
  readonly #now: () => number;
  readonly #log: Logger;
  #usage = new Usage();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: { store: GatewayStore; now: () => number; log: Logger }) {
    this.#store = parts.store;
    this.#now = parts.now;
    this.#log = parts.log;
  }

  /** @throws VpnError `failed` */
  async load(): Promise<void> {
    this.#usage = new Usage(await this.#store.usage());
  }

  /** @returns whether there is something left */
  spend(user: GatewayUser, bytes: number): boolean {
    if (bytes > 0) this.#usage.spend(user, bytes, this.#now());
    if (bytes > 0) this.#soon();
    return this.#usage.left(user, this.#now()) !== 0;
  }

  used(user: GatewayUser): number {
    return this.#usage.used(user, this.#now());
  }

  /** Bytes; undefined: as many as they like. */
  left(user: GatewayUser): number | undefined {
    return this.#usage.left(user, this.#now());
  }

  forget(name: string): void {
    this.#usage.forget(name);
    this.#soon();
  }

  /** Writes what is not on disk. Never throws. */
  async save(): Promise<void> {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#store.saveUsage(this.#usage.format()).catch((error: unknown) => {
      this.#log.error({ err: error }, "what gateway users have used of their quotas is not on disk");
    });
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => void this.save(), saveMs).unref();
  }
}
