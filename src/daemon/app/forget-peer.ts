import { findPeer, type PeerNames } from "../core/network/find-peer.js";
import type { Network } from "./network.js";
import type { Networks } from "./networks.js";

export interface Forgotten {
  network: string;
  virtualIp: string;
  hadPin: boolean;
}

/**
 * Forgets which node key an address belongs to. Also works by virtual IP for a node that no server lists, and for a network
 * that is down: pins outlive both.
 * @param asked network, or "" for whichever has the peer
 * @throws VpnError as `findPeer` and `Networks.listed`
 */
export async function forgetPeer(
  networks: Networks,
  asked: string,
  peer: string,
  dryRun: boolean,
): Promise<Forgotten> {
  const known = networks.listed(asked).flatMap((network) => [...peersOf(network)]);
  const { network, virtualIp, of } = findPeer(peer, known);
  if (dryRun) return { network, virtualIp, hadPin: of.pinned().includes(virtualIp) };
  return { network, virtualIp, hadPin: await of.exclusive(() => of.forgetPin(virtualIp)) };
}

function* peersOf(of: Network): Iterable<PeerNames & { of: Network }> {
  const network = of.name;
  const shown = new Set<string>();
  for (const { virtualIp, name } of of.carrier?.view().peers ?? []) {
    shown.add(virtualIp);
    yield { network, virtualIp, ...(name === undefined ? {} : { name }), of };
  }
  for (const virtualIp of of.pinned()) if (!shown.has(virtualIp)) yield { network, virtualIp, of };
}
