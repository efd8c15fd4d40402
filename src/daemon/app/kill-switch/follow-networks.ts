import { parsePostgresUrl } from "../../../common/postgres/url.js";
import { firstHop } from "../../core/gateway/client-options.js";
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
      servers: configs.flatMap(({ asked }) => {
        if (asked.postgres !== undefined) return parsePostgresUrl(asked.postgres.url).servers;
        if (asked.gateway !== undefined) return [firstHop(asked.gateway)];
        return asked.tcp?.role === "connect" ? [asked.tcp.address] : asked.iex;
      }),
    };
  };
  const done = killSwitch.follow(tunnels, networks.feed.ticks(stop.signal, intervalMs));
  return async () => {
    stop.abort();
    await done;
  };
}
