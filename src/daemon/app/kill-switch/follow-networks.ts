import { serversOf } from "../../core/network/servers.js";
import type { Networks } from "../networks.js";
import type { KillSwitch } from "./kill-switch.js";

const intervalMs = 2_000;

/**
 * Lets the devices of networks through a kill switch that is on, also of those that are joined later. Call when the stored
 * networks are back: until then it lets through what it did before.
 * @returns ends it
 */
export function followNetworks(killSwitch: KillSwitch, networks: Networks): () => Promise<void> {
  const stop = new AbortController();
  const tunnels = () => {
    const configs = networks.all().map((network) => network.config);
    return {
      devices: configs.map((config) => config.device),
      servers: configs.flatMap(serversOf),
    };
  };
  const done = killSwitch.follow(tunnels, networks.feed.ticks(stop.signal, intervalMs));
  return async () => {
    stop.abort();
    await done;
  };
}
