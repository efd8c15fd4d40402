import { overlaps, parseCidr } from "../network/cidr.js";
import { contains } from "./prefix.js";

/**
 * The devices over which this machine reaches a subnet: those of routes and addresses inside it, else that of the narrowest one
 * around it. Default routes do not count.
 * @param tunnel the network's own device, which does not count either
 */
export function devicesTowards(
  subnet: string,
  local: readonly { prefix: string; device: string }[],
  tunnel: string,
): string[] {
  const wanted = parseCidr(subnet);
  if (wanted === undefined) return [];
  const known = local.flatMap(({ prefix, device }) => {
    const cidr = parseCidr(prefix);
    const counts = cidr !== undefined && device !== "" && device !== tunnel && overlaps(cidr, wanted);
    return counts ? [{ cidr, device }] : [];
  });
  const inside = known.filter(({ cidr }) => contains(wanted, cidr));
  const narrowest = Math.max(...known.map(({ cidr }) => cidr.length));
  const chosen = inside.length > 0 ? inside : known.filter(({ cidr }) => cidr.length === narrowest);
  return [...new Set(chosen.map(({ device }) => device))].sort();
}
