/** The network that a gateway's clients get to besides the Internet, or in its place. */
import { VpnError } from "../../../common/errors.js";
import { parseCidr } from "../network/cidr.js";

export interface IntoNetwork {
  device: string;
  /** What the network's addresses are in. */
  prefixes: string[];
}

/**
 * @param name empty: none
 * @throws VpnError `not-found` when there is no such network, `failed` when it has no addresses now
 */
export function leadInto(
  name: string,
  networks: readonly { name: string; device: string; addresses: readonly string[] }[],
): IntoNetwork | undefined {
  if (name === "") return undefined;
  const network = networks.find((one) => one.name === name);
  if (network === undefined) {
    const joined = networks.map((one) => one.name).join(", ");
    throw new VpnError("not-found", `network ${JSON.stringify(name.slice(0, 64))} is not joined`, {
      hint: joined === "" ? "join it first: vpnctl join" : `joined: ${joined}`,
    });
  }
  const prefixes = network.addresses.flatMap((address) => parseCidr(address)?.prefix ?? []);
  if (prefixes.length > 0) return { device: network.device, prefixes };
  throw new VpnError("failed", `network ${name} has no addresses now`, {
    hint: `see: vpnctl network ${name}`,
  });
}
