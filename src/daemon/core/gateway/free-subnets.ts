import { VpnError } from "../../../common/errors.js";
import { overlaps, parseCidr } from "../network/cidr.js";
import { clientDevices } from "./nat.js";

/**
 * Refuses subnets for clients that would take traffic from this machine's own networks, or give clients the addresses of others there.
 * @param local prefixes of the machine's addresses and routes
 * @throws VpnError `conflict`
 */
export function refuseTakenSubnets(
  subnets: readonly string[],
  local: readonly { prefix: string; device: string; what: string }[],
): void {
  for (const { prefix, device, what } of local) {
    // Routes that lead nowhere keep private destinations from the Internet; those to clients are longer.
    if (device === "" || device === "lo" || device.startsWith(clientDevices.slice(0, -1))) continue;
    const theirs = parseCidr(prefix);
    const taken = subnets.find((subnet) => {
      const own = parseCidr(subnet);
      return own !== undefined && theirs !== undefined && overlaps(own, theirs);
    });
    if (taken === undefined) continue;
    throw new VpnError("conflict", `${taken}, meant for clients, overlaps the ${what}`, {
      hint: "choose others with --subnet CIDR,CIDR6; in the config: subnet",
    });
  }
}
