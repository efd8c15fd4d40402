import type {
  ExitNode,
  ExitNodeOffer,
  ExitNodePeer,
  ExitNodeUse,
  NetworkExitNodes,
} from "../../common/gen/vpnd/v1/exit_node_pb.js";
import type { Look } from "./look.js";
import { notes, table } from "./table.js";

/** @param named several networks are shown */
export function exitNodesText(of: NetworkExitNodes, named: boolean, look: Look): string {
  const { network, offer, exitNodes } = of;
  const own = offer === undefined ? [] : [ownRow(offer)];
  const rows = [...own, ...exitNodes.map(row)].map((cells) => (named ? [network, ...cells] : cells));
  const header = [...(named ? ["NETWORK"] : []), "EXIT NODE", "STATE", "CARRIES", "SEEN AS", "DETAIL"];
  const remarks = exitNodes.some((exit) => exit.state === "offered")
    ? ["send all traffic through one: vpnctl exit-node use PEER"]
    : rows.length === 0
      ? ["no peer offers to be an exit node; on one: vpnctl exit-node offer"]
      : [];
  const said = named ? remarks.map((remark) => `${network}: ${remark}`) : remarks;
  return (rows.length === 0 ? "" : table(header, rows, { look, droppable: ["DETAIL"] })) + notes(said);
}

/** One line: where all traffic goes. */
export function useText(use: ExitNodeUse): string {
  const lan = use.allowLan ? ", but for the LAN" : "";
  const { active } = use;
  if (active === undefined) {
    const why = use.reason === undefined ? "" : ` (${use.reason.message})`;
    return `exit node: nobody carries traffic${why}; nothing leaves until one does, or: vpnctl exit-node off`;
  }
  const seen = active.seenAs.length === 0 ? "" : `; the outside sees ${active.seenAs.join(" and ")}`;
  return `exit node: all traffic goes through ${nameOf(active)}${lan}${seen}`;
}

function ownRow(offer: ExitNodeOffer): string[] {
  const detail = [
    offer.clients.length === 0 ? "for any peer" : `for ${offer.clients.map(nameOf).join(", ")}`,
    offer.reason?.message ?? "",
    offer.withoutIpv6,
  ];
  return ["this node", offer.state, carries(offer), "-", detail.filter((part) => part !== "").join("; ")];
}

function row(exit: ExitNode): string[] {
  return [nameOf(exit), exit.state, carries(exit), exit.seenAs.join(", ") || "-", "-"];
}

function carries({ ipv4, ipv6 }: { ipv4: boolean; ipv6: boolean }): string {
  return [ipv4 ? "IPv4" : "", ipv6 ? "IPv6" : ""].filter((part) => part !== "").join(", ") || "-";
}

const nameOf = ({ name, virtualIp }: Pick<ExitNodePeer, "name" | "virtualIp">): string => name || virtualIp;
