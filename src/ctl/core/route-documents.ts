import type { NetworkRoutes, RouteDecision } from "../../common/gen/vpnd/v1/route_pb.js";
import { reasonJson } from "./network-documents.js";
import { filled, type Json } from "./present.js";

export function routesJson(routes: NetworkRoutes): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.routes/v1",
    network: routes.network,
    offers: routes.offers.map((offer) => ({
      prefix: offer.prefix,
      as: filled(offer.as),
      state: offer.state,
      reason: reasonJson(offer.reason),
      devices: offer.devices,
    })),
    routes: routes.routes.map((route) => ({
      prefix: route.prefix,
      virtualIp: route.virtualIp,
      name: filled(route.name),
      state: route.state,
      reason: reasonJson(route.reason),
    })),
    accepted: routes.accepted.map(decisionJson),
    rejected: routes.rejected.map(decisionJson),
  };
}

function decisionJson(decision: RouteDecision): Json {
  return {
    peer: decision.virtualIp === "" ? "all" : decision.virtualIp,
    name: filled(decision.name),
    prefixes: decision.prefixes,
  };
}
