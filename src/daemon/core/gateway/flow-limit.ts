/**
 * How many connections the kernel remembers of one client: its table is everybody's, and when it is full nobody gets a new one. A table of
 * its own, because not every kernel can do it.
 */
import type { Item } from "../system/items.js";
import { clientDevices } from "./nat.js";

const name = "vpnd-gateway-limits";
/** A browser needs some hundreds; the kernel's table has room for 65,536 and more on most machines. */
export const mostFlows = 4096;

/** nft 1.0.6 does not know all of it as JSON. One that is over the limit is never remembered, because it is dropped on its way. */
const more = `table inet ${name} {
  set four { type ipv4_addr; size 65535; flags dynamic; }
  set six { type ipv6_addr; size 65535; flags dynamic; }
  chain forward {
    type filter hook forward priority -5; policy accept;
    iifname "${clientDevices}" ct state new add @four { ip saddr ct count over ${mostFlows} } drop
    iifname "${clientDevices}" ct state new add @six { ip6 saddr ct count over ${mostFlows} } drop
  }
}`;

export const flowLimitItems: readonly Item[] = [
  { kind: "nft-table", family: "inet", name, commands: [], more },
];
