/** Where clients of a gateway get to. */
import { closedDestinations } from "./destinations.js";
import type { HubDestinations } from "./hub.js";
import type { GatewayOptions } from "./options.js";

const everywhere = ["0.0.0.0/0", "::/0"];

/** @param into prefixes of a network that clients get to */
export function destinationsOf(options: GatewayOptions, into: readonly string[] = []): HubDestinations {
  const { internet, allow, allowHost, allowClients, subnets } = options;
  const own = allowHost || allowClients ? subnets : [];
  return { closed: internet ? closedDestinations : everywhere, open: [...allow, ...into, ...own] };
}
