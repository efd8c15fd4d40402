import type { JoinOptions, NetworkConfig } from "./config.js";
import { differences, makeConfig } from "./config.js";

/** How a network is to be because of the config, and what is kept of how it was. */
export function declaredConfig(
  wanted: { options: JoinOptions; up: boolean },
  had: NetworkConfig | undefined,
  hostName: string,
  now: number,
): NetworkConfig {
  const fresh = makeConfig(wanted.options, hostName, had?.joined ?? now);
  if (fresh.carrier !== "mesh") return { ...fresh, up: wanted.up, declared: true };
  // A port that vpnd chose is kept, also when other things change: firewalls and NATs may know it.
  const port = fresh.port === 0 && had?.asked.listenPort === 0 ? had.port : fresh.port;
  return { ...fresh, port, up: wanted.up, declared: true };
}

/** True if a network is already as the config wants it, whether it is up or not. */
export function isAsDeclared(config: NetworkConfig, options: JoinOptions): boolean {
  return config.declared === true && differences(config, options).length === 0;
}
