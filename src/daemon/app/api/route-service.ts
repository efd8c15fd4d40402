import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  NetworkRoutesSchema,
  RouteDecisionSchema,
  RouteService,
} from "../../../common/gen/vpnd/v1/route_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { Decision } from "../../core/routes/routing.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import { acceptRoutes, offerRoutes, rejectRoutes, withdrawRoutes } from "../routes/change-routes.js";

export function routeService(networks: Networks): ServiceImpl<(typeof RouteService)["method"]> {
  return {
    async listRoutes({ network }) {
      return { networks: networks.listed(network).map(routesMessage) };
    },
    offerRoutes: async (request) => offerRoutes(networks, request),
    withdrawRoutes: async (request) => withdrawRoutes(networks, request),
    acceptRoutes: async (request) => acceptRoutes(networks, request),
    rejectRoutes: async (request) => rejectRoutes(networks, request),
  };
}

function routesMessage(network: Network): MessageInitShape<typeof NetworkRoutesSchema> {
  const { routing, offers, routes } = network.routes.view();
  return {
    network: network.name,
    offers: offers.map(({ offer, state, devices, reason }) => ({
      prefix: offer.prefix,
      as: offer.as ?? "",
      state,
      devices: [...devices],
      ...(reason !== undefined && { reason }),
    })),
    routes: routes.map(({ prefix, peer, state, reason }) => ({
      prefix,
      virtualIp: peer.virtualIp,
      name: peer.name ?? "",
      state,
      ...(reason !== undefined && { reason }),
    })),
    accepted: routing.accepts.map(decisionMessage),
    rejected: routing.rejects.map(decisionMessage),
  };
}

function decisionMessage({ whom, within }: Decision): MessageInitShape<typeof RouteDecisionSchema> {
  const prefixes = [...within];
  return whom === "all" ? { prefixes } : { virtualIp: whom.virtualIp, name: whom.name ?? "", prefixes };
}
