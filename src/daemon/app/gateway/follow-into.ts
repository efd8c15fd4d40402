/** Networks as a gateway sees them that leads into one of them. */
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import type { Gateway } from "./gateway.js";
import type { NearNetwork } from "./surroundings.js";

export function nearNetwork({ name, config, carrier }: Network): NearNetwork {
  const { virtualIp } = config.asked;
  return {
    name,
    device: config.device,
    addresses: virtualIp === "" ? (carrier?.addresses?.() ?? []) : [virtualIp],
  };
}

/** Tells the gateway of networks that come up and go down. @returns ends it */
export function followInto(gateway: Gateway, networks: Networks): () => Promise<void> {
  const stop = new AbortController();
  const seen = new Map<string, number | undefined>();
  const look = async (): Promise<void> => {
    for (const network of networks.all()) {
      const { name, since } = network;
      const up = network.carrier === undefined ? undefined : since;
      const news = seen.has(name) && seen.get(name) !== up;
      seen.set(name, up);
      if (news) await gateway.networkChanged(name);
    }
  };
  const done = (async () => {
    for await (const _ of networks.feed.ticks(stop.signal, 0)) await look();
  })();
  return async () => {
    stop.abort();
    await done;
  };
}
