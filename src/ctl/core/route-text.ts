import type { NetworkRoutes, RouteDecision } from "../../common/gen/vpnd/v1/route_pb.js";
import type { Look } from "./look.js";
import { notes, table } from "./table.js";

/** @param named several networks are shown */
export function routesText(routes: NetworkRoutes, named: boolean, look: Look): string {
  const { network } = routes;
  const own = routes.offers.map((offer) => [
    offer.as || offer.prefix,
    "this node",
    offer.state,
    [offer.as === "" ? "" : `maps to ${offer.prefix}`, offer.reason?.message ?? ""]
      .filter(Boolean)
      .join("; ") || "-",
  ]);
  const theirs = routes.routes.map((route) => [
    route.prefix,
    route.name || route.virtualIp,
    route.state,
    route.reason?.message || "-",
  ]);
  const all = [...own, ...theirs].map((row) => (named ? [network, ...row] : row));
  const header = [...(named ? ["NETWORK"] : []), "SUBNET", "BY", "STATE", "DETAIL"];
  const remarks = [
    ...routes.accepted.map((decision) => `accepted: ${decisionText(decision)}`),
    ...routes.rejected.map((decision) => `except: ${decisionText(decision)}`),
  ];
  if (routes.routes.some((route) => route.state === "offered")) {
    remarks.push("take what is offered: vpnctl routes accept PEER [CIDR...]");
  }
  if (all.length === 0) remarks.push("no subnets are offered; offer one: vpnctl routes offer CIDR");
  const whose = named ? remarks.map((remark) => `${network}: ${remark}`) : remarks;
  return (all.length === 0 ? "" : table(header, all, { look, droppable: ["DETAIL"] })) + notes(whose);
}

function decisionText({ virtualIp, name, prefixes }: RouteDecision): string {
  const what = prefixes.length === 0 ? "all" : prefixes.join(", ");
  return `${what} of ${virtualIp === "" ? "any peer" : name || virtualIp}`;
}
