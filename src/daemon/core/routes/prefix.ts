import ipaddr from "ipaddr.js";
import { VpnError } from "../../../common/errors.js";
import { type Cidr, parseCidr } from "../network/cidr.js";

const unusable = ["unspecified", "broadcast", "multicast", "linkLocal", "loopback", "ipv4Mapped"];
const widest = { 4: 8, 6: 16 } as const;

/** A subnet that one node can carry for others, canonical; undefined for anything else. */
export function readRoutePrefix(text: string): Cidr | undefined {
  const cidr = parseCidr(text);
  if (cidr === undefined || cidr.text !== text || cidr.prefix !== text) return undefined;
  return cidr.length < widest[cidr.family] || isUnusable(cidr) ? undefined : cidr;
}

/** The same for what a user typed. @throws VpnError `usage` that says what is wrong */
export function checkRoutePrefix(text: string): Cidr {
  const said = JSON.stringify(text.slice(0, 64));
  const bad = (why: string, hint: string): VpnError => new VpnError("usage", `${said} ${why}`, { hint });
  const cidr = parseCidr(text);
  if (cidr === undefined) throw bad("is no subnet", "write it with its length, such as 192.168.1.0/24");
  if (`${cidr.address}/${cidr.length}` !== cidr.prefix) {
    throw bad("is an address in a subnet", `write the subnet: ${cidr.prefix}`);
  }
  if (cidr.length < widest[cidr.family]) {
    throw bad(
      "is too wide for a subnet",
      `at most /${widest[cidr.family]}; offer the subnets that there are`,
    );
  }
  if (isUnusable(cidr)) throw bad("is not reachable from elsewhere", "offer the subnet of a LAN");
  return cidr;
}

/** Whether the inner prefix lies in the outer one, or is it. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.length > inner.length) return false;
  return parseCidr(`${inner.address}/${outer.length}`)?.prefix === outer.prefix;
}

const isUnusable = (cidr: Cidr): boolean => unusable.includes(ipaddr.parse(cidr.address).range());
