import { VpnError } from "../../../common/errors.js";
import type { Nodes } from "../../core/postgres/nodes.js";

/** Number of a peer in the database. @param peer name or virtual IP @throws VpnError when there is none, or several */
export function peerNumber(peer: string, nodes: Nodes): number {
  const found = nodes.known().filter(({ virtualIp, name }) => virtualIp === peer || name === peer);
  const [one] = found;
  if (one === undefined) {
    throw new VpnError("not-found", `there is no peer ${peer}`, { hint: "see them: vpnctl peers" });
  }
  if (found.length > 1) {
    const candidates = found.map(({ virtualIp }) => virtualIp).join(", ");
    throw new VpnError("ambiguous", `several peers are called ${peer}`, { hint: `one of ${candidates}` });
  }
  return one.id;
}
