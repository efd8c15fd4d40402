/** Whether the gateway runs: brought up and taken down with all that it needs around it, and tried again when it does not come up. */
import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import type { Reason } from "../../core/carrier.js";
import { type GatewayOptions, refuseStrangers } from "../../core/gateway/options.js";
import type { TlsFiles } from "../../io/gateway/tls-files.js";
import type { GatewayUsers } from "./gateway-users.js";
import type { GatewayPlatform } from "./platform.js";
import { GatewayService } from "./service.js";
import type { Surroundings } from "./surroundings.js";

export interface LifeParts {
  platform: GatewayPlatform;
  /** Of the config; undefined: the gateway does no TLS itself. */
  tls: () => TlsFiles | undefined;
  surroundings: Surroundings;
  users: GatewayUsers;
  /** Nothing else is done to the gateway meanwhile. */
  exclusive: (work: () => Promise<void>) => Promise<void>;
  onChange: () => void;
  log: Logger;
}

export type LifeState =
  | { state: "off" }
  | { state: "up"; options: GatewayOptions; service: GatewayService; notes: string[] }
  | {
      state: "error";
      options: GatewayOptions;
      reason: Reason;
      retry: NodeJS.Timeout;
      again: () => Promise<void>;
    };

const retryMs = 10_000;

/** All but `now`, `service` and `hurry` are to be called under the gateway's mutex. */
export class Life {
  readonly #parts: LifeParts;
  #now: LifeState = { state: "off" };

  constructor(parts: LifeParts) {
    this.#parts = parts;
  }

  get now(): LifeState {
    return this.#now;
  }

  /** Undefined: it does not run. */
  get service(): GatewayService | undefined {
    return this.#now.state === "up" ? this.#now.service : undefined;
  }

  /** @returns notes for people @throws VpnError; nothing is left then */
  async up(options: GatewayOptions, resumeKey: Uint8Array): Promise<string[]> {
    const { platform, surroundings, users, onChange, log } = this.#parts;
    const tls = this.#parts.tls();
    // After the last one was revoked nobody gets in, which is no danger.
    refuseStrangers(options, users.never ? 0 : 1);
    const { into, six, notes } = await surroundings.bringAbout(options);
    try {
      const service = await GatewayService.start({
        options,
        resumeKey,
        platform,
        ...(tls !== undefined && { tls }),
        ...(into !== undefined && { into: into.prefixes }),
        six,
        spend: (user, bytes) => users.spend(user, bytes),
        mayStay: (user) => users.has(user),
        userOf: (token) => users.whoHas(token, options.open),
        log: log.child({ gateway: options.listen }),
        onChange,
      });
      this.#now = { state: "up", options, service, notes };
    } catch (error) {
      await surroundings.takeBack();
      throw error;
    }
    log.info({ listen: options.listen, open: options.open, users: users.count }, "gateway started");
    return notes;
  }

  /** As `up`, but what fails is shown as its state, and tried again. Never throws. */
  async upInBackground(options: GatewayOptions, resumeKey: Uint8Array): Promise<void> {
    const { exclusive, onChange, log } = this.#parts;
    try {
      await this.up(options, resumeKey);
    } catch (thrown) {
      const { code, message } = VpnError.from(thrown);
      log.error({ err: thrown }, "the gateway does not run");
      const again = (): Promise<void> =>
        exclusive(async () => {
          if (this.#now.state === "error" && this.#now.retry === retry)
            await this.upInBackground(options, resumeKey);
        });
      const retry = setTimeout(() => void again(), retryMs);
      retry.unref();
      this.#now = { state: "error", options, reason: { code, message }, retry, again };
    }
    onChange();
  }

  /** If it did not come up: what it waited for may be there now. Waits for the gateway's mutex. */
  hurry(): void {
    if (this.#now.state !== "error") return;
    clearTimeout(this.#now.retry);
    void this.#now.again();
  }

  async down(): Promise<void> {
    const had = this.#now;
    this.#now = { state: "off" };
    if (had.state === "off") return;
    if (had.state === "error") return clearTimeout(had.retry);
    await had.service.stop();
    await this.#parts.surroundings.takeBack();
    this.#parts.log.info({ listen: had.options.listen }, "gateway stopped");
  }
}
