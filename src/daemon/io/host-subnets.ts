/** The subnets that this host's interfaces are in. */
import { networkInterfaces } from "node:os";
import { canonicalAddress } from "../../common/endpoint.js";

/** Loopback and link-local addresses are left out: no other host reaches them by address alone. */
export function hostSubnets(): { address: string; length: number }[] {
  const subnets: { address: string; length: number }[] = [];
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, cidr, internal } of addresses ?? []) {
      const canonical = canonicalAddress(address);
      const length = Number(cidr?.split("/")[1]);
      if (internal || canonical === undefined || !Number.isInteger(length)) continue;
      if (canonical.startsWith("169.254.") || canonical.startsWith("fe80:")) continue;
      subnets.push({ address: canonical, length });
    }
  }
  return subnets;
}
