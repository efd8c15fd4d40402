import type { Logger } from "pino";
import { changedKeys } from "../../common/config/changes.js";
import { keysOf } from "../../common/config/keys.js";
import { VpnError } from "../../common/errors.js";
import { vpndSchema } from "../core/config/schema.js";
import type { CryptoChoice } from "../core/engine.js";
import { type ConfigSource, type LoadedConfig, loadConfig } from "../io/config/load.js";
import type { DeclaredNetworks } from "./declared-networks.js";
import type { Gateway } from "./gateway/gateway.js";

/** What a reload reaches. */
export interface ReloadParts {
  source: ConfigSource;
  /** What this vpnd was started with. */
  started: LoadedConfig;
  declared: DeclaredNetworks;
  gateway: Pick<Gateway, "apply">;
  /** Throws VpnError when this machine cannot have it so. */
  chooseCrypto: (choice: CryptoChoice) => string;
  /** Called around each reload, whatever comes of it. */
  onBegin: () => void;
  onEnd: () => void;
  log: Logger;
}

const keys = keysOf(vpndSchema);

/** Reads the config again and applies what is different. A config that cannot be used changes nothing. */
export class Reloader {
  readonly #parts: ReloadParts;
  #current: LoadedConfig;
  #running: Promise<void> | undefined;
  /** Asked for again while one runs: the files may have changed since it read them. */
  #again = false;
  #stopped = false;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    this.#current = parts.started;
  }

  /** Never throws; resolves when nothing more is to be done. */
  reload(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** No reload runs or starts any more when this resolves. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      this.#parts.onBegin();
      try {
        await this.#once();
      } catch (thrown) {
        const error = VpnError.from(thrown);
        const { message, hint } = error;
        this.#parts.log.error(
          { reason: { code: error.code, message }, hint },
          "config not reloaded: nothing changed",
        );
      } finally {
        this.#parts.onEnd();
      }
    }
  }

  async #once(): Promise<void> {
    const { source, started, declared, gateway, chooseCrypto, log } = this.#parts;
    const next = await loadConfig(source);
    chooseCrypto(next.settings.crypto);
    const live = changedKeys(keys, "live", this.#current.entries, next.entries);
    const restart = changedKeys(keys, "restart", started.entries, next.entries);
    this.#current = next;
    log.level = next.settings.logLevel;
    const networks = await declared.apply(next.networks, true);
    const gatewayChanged = await gateway.apply(next.settings.gateway);
    log.info({ files: next.files, changed: live, networks, gatewayChanged }, "config reloaded");
    if (restart.length > 0) log.warn({ keys: restart }, "these keys take effect when vpnd is restarted");
  }
}
