import { VpnError } from "../../../common/errors.js";
import { overlaps, parseCidr } from "../network/cidr.js";

/**
 * A way to the gateway by way of the gateway would never come up.
 * @param endpoint "ADDRESS:PORT" of the gateway, or of its proxy
 * @param routes prefixes that go by way of the gateway
 * @throws VpnError `failed` when one of them holds the endpoint
 */
export function refuseLoop(endpoint: string, routes: readonly string[]): void {
  const address = endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  const target = parseCidr(`${address}/${address.includes(":") ? 128 : 32}`);
  const taken = routes.find((route) => {
    const prefix = parseCidr(route);
    return prefix !== undefined && target !== undefined && overlaps(prefix, target);
  });
  if (taken === undefined) return;
  throw new VpnError("failed", `${endpoint} is inside ${taken}, which goes by way of the gateway itself`, {
    hint: "name prefixes around it with --route",
    fields: { reason: "loop" },
  });
}
