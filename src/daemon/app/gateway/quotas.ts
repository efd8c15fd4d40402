/** Quotas of a gateway's users, across restarts. */
import type { Logger } from "pino";
import { Usage } from "../../core/gateway/usage.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import type { GatewayStore } from "../../io/gateway/store.js";

/** A vpnd that is killed forgets what was used within so long, milliseconds, but no more than so many bytes, and those of a moment. */
const saveMs = 30_000;
const saveBytes = 16 << 20;

export class Quotas {
  readonly #store: GatewayStore;
  readonly #now: () => number;
  readonly #log: Logger;
  #usage = new Usage();
  #timer: NodeJS.Timeout | undefined;
  #unsaved = 0;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: { store: GatewayStore; now: () => number; log: Logger }) {
    this.#store = parts.store;
    this.#now = parts.now;
    this.#log = parts.log;
  }

  /** @throws VpnError `failed` */
  async load(): Promise<void> {
    this.#usage = new Usage(await this.#store.usage());
  }

  /** @returns what is left, bytes; undefined: there is no quota */
  spend(user: GatewayUser, bytes: number): number | undefined {
    if (bytes > 0) {
      this.#usage.spend(user, bytes, this.#now());
      this.#unsaved += bytes;
      this.#soon();
    }
    const left = this.#usage.left(user, this.#now());
    if (bytes > 0 && (left === 0 || this.#unsaved >= saveBytes)) void this.save();
    return left;
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
  save(): Promise<void> {
    if (this.#timer === undefined) return this.#saving;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unsaved = 0;
    this.#saving = this.#saving.then(async () => {
      await this.#store.saveUsage(this.#usage.format()).catch((error: unknown) => {
        this.#log.error({ err: error }, "what gateway users have used of their quotas is not on disk");
      });
    });
    return this.#saving;
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => void this.save(), saveMs).unref();
  }
}
