/** What a gateway wants of the machine (the door's items): translation, and who may talk to whom. */
import { accept, answers, chain, clampMss, drop, from, notTo, source, to } from "../routes/nft.js";
import type { Item } from "../system/items.js";
import type { GatewayOptions } from "./options.js";

/** All devices of clients are called so, with the number of their slot. */
export const devicePrefix = "vpngw-";
/** In nft, a name that ends so is a pattern. */
export const clientDevices = `${devicePrefix}*`;
export const gatewayTable = "vpnd-gateway";

const notToClients = notTo(clientDevices);
const six = { match: { op: "==", left: { meta: { key: "nfproto" } }, right: "ipv6" } };
const masquerade = { masquerade: null };

export interface NatParts {
  /** IPv6 was not forwarded before: these devices go on not being forwarded between. */
  guarded6: readonly string[];
  /** IPv6 is forwarded because of the gateway. */
  turnOn6: boolean;
}

/**
 * The gateway's table. Where clients may go in the first place is decided where their packets enter (native/), by client; here is
 * what the kernel has to know: answers only, unless asked for, and no way in for anybody else.
 */
export function gatewayItems(options: GatewayOptions, { guarded6, turnOn6 }: NatParts): Item[] {
  const { allowHost, allowClients, subnets } = options;
  const commands = [
    ...chain(gatewayTable, { name: "forward", type: "filter", hook: "forward", prio: 0 }, [
      ...guarded6.map((device) => [six, from(device), notToClients, drop]),
      [to(clientDevices), ...clampMss],
      [from(clientDevices), ...clampMss],
      [to(clientDevices), answers, accept],
      ...(allowClients ? [[from(clientDevices), to(clientDevices), accept]] : []),
      [to(clientDevices), drop],
    ]),
    ...chain(gatewayTable, { name: "input", type: "filter", hook: "input", prio: 0 }, [
      [from(clientDevices), answers, accept],
      ...(allowHost ? [] : [[from(clientDevices), drop]]),
    ]),
    ...chain(
      gatewayTable,
      { name: "postrouting", type: "nat", hook: "postrouting", prio: 100 },
      subnets.map((subnet) => [source(subnet), notToClients, masquerade]),
    ),
  ];
  const table: Item = { kind: "nft-table", family: "inet", name: gatewayTable, commands };
  const forwarding6: Item = { kind: "sysctl", key: "net/ipv6/conf/all/forwarding", value: "1" };
  // First what keeps strangers out.
  return turnOn6 ? [table, forwarding6] : [table];
}
