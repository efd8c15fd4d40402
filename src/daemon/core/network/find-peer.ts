import { VpnError } from "../../../common/errors.js";

/** What peers are found by. */
export interface PeerNames {
  network: string;
  virtualIp: string;
  name?: string;
}

/**
 * Finds PEER: a name, "name.network" or a virtual IP.
 * @throws VpnError `usage`, `not-found`, or `ambiguous` with the candidates
 */
export function findPeer<T extends PeerNames>(asked: string, peers: readonly T[]): T {
  if (asked === "") throw new VpnError("usage", "no peer named", { hint: "see them: vpnctl peers" });
  const word = asked.toLowerCase();
  const named = (peer: T): boolean => peer.name?.toLowerCase() === word;
  const qualified = (peer: T): boolean =>
    peer.name !== undefined && `${peer.name.toLowerCase()}.${peer.network}` === word;
  const found = peers.filter((peer) => peer.virtualIp === word || named(peer) || qualified(peer));
  const [first, ...more] = found;
  if (first === undefined) {
    throw new VpnError("not-found", `no peer ${JSON.stringify(asked.slice(0, 100))}`, {
      hint: "see them: vpnctl peers",
    });
  }
  if (more.length > 0) {
    throw new VpnError("ambiguous", `${asked} is not one peer`, {
      hint: `it may be ${found.map(candidate).join(", ")}`,
    });
  }
  return first;
}

const candidate = (peer: PeerNames): string =>
  `${peer.virtualIp} (${peer.name ?? "no name"}.${peer.network})`;
