import { VpnError } from "../../../common/errors.js";
import { overlaps, parseCidr } from "./cidr.js";
import type { NetworkConfig } from "./config.js";

/**
 * Refuses a virtual prefix that would take traffic from another network or from the machine's own.
 * @param others joined networks besides this one
 * @param local prefixes of the machine's addresses and routes
 * @throws VpnError `conflict`
 */
export function checkOverlap(
  config: NetworkConfig,
  others: readonly NetworkConfig[],
  local: readonly { prefix: string; device: string; what: string }[],
): void {
  const own = parseCidr(config.asked.virtualIp);
  const hint = "choose another virtual subnet with --vip";
  for (const other of others) {
    const theirs = parseCidr(other.asked.virtualIp);
    if (own && theirs && overlaps(own, theirs)) {
      throw new VpnError("conflict", `${own.prefix} overlaps ${theirs.prefix} of network ${other.name}`, {
        hint,
      });
    }
    if (other.device === config.device) {
      throw new VpnError("conflict", `device ${config.device} is used by network ${other.name}`, {
        hint: "choose another with --device",
      });
    }
  }
  for (const used of local) {
    // What the device has already is its owner's wish.
    if (used.device === config.device) continue;
    const theirs = parseCidr(used.prefix);
    if (own && theirs && overlaps(own, theirs)) {
      throw new VpnError("conflict", `${own.prefix} overlaps the ${used.what}`, { hint });
    }
  }
}
