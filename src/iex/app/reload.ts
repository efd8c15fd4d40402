import type { Logger } from "pino";
import { changedKeys } from "../../common/config/changes.js";
import { VpnError } from "../../common/errors.js";
import type { ServiceManager } from "../../common/systemd/service-manager.js";
import { iexdKeys } from "../core/config.js";
import { type ConfigSource, type LoadedConfig, loadConfig } from "../io/config.js";
import type { Iexd } from "./iexd.js";

/** What SIGHUP does: reads the config again and applies what is different. A config that cannot be used changes nothing. */
export function reloader(
  source: ConfigSource,
  started: LoadedConfig,
  server: Iexd,
  service: ServiceManager,
  log: Logger,
): () => Promise<void> {
  let current = started;
  const once = async (): Promise<void> => {
    service.reloading();
    try {
      const next = await loadConfig(source);
      const changed = changedKeys(iexdKeys, "live", current.entries, next.entries);
      const keys = changedKeys(iexdKeys, "restart", started.entries, next.entries);
      current = next;
      log.level = next.settings.logLevel;
      server.allow(next.settings.allowed);
      log.info({ files: next.files, changed }, "config reloaded");
      if (keys.length > 0) log.warn({ keys }, "these keys take effect when iexd is restarted");
    } catch (thrown) {
      const { code, message, hint } = VpnError.from(thrown);
      log.error({ reason: { code, message }, hint }, "config not reloaded: nothing changed");
    } finally {
      service.reloaded();
    }
  };
  // One after the other: of two the later has read the newer files.
  let last = Promise.resolve();
  return () => {
    last = last.then(once);
    return last;
  };
}
