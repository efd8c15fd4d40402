import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type {
  ExitNodeOfferSchema,
  ExitNodePeerSchema,
  ExitNodeSchema,
  ExitNodeService,
  ExitNodeUseSchema,
} from "../../../common/gen/vpnd/v1/exit_node_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { ExitView } from "../../core/exit-node/choose.js";
import type { Client } from "../../core/exit-node/offer.js";
import type { SystemDoor } from "../../io/system/door.js";
import { offerExit, withdrawExit } from "../exit-node/change-offer.js";
import type { ExitNode } from "../exit-node/exit-node.js";
import type { ExitOfferView } from "../exit-node/exit-offer.js";
import type { Networks } from "../networks.js";

export function exitNodeService(
  networks: Networks,
  door: SystemDoor,
  exitNode: ExitNode,
): ServiceImpl<(typeof ExitNodeService)["method"]> {
  const use = () => useMessage(exitNode, networks);
  return {
    async listExitNodes({ network }) {
      const chosen = networks.listed(network).map((one) => {
        const offer = one.routes.view().exit;
        return {
          network: one.name,
          exitNodes: exitNode.look(one).exits.map(exitMessage),
          ...(offer !== undefined && { offer: offerMessage(offer) }),
        };
      });
      const used = use();
      return { networks: chosen, ...(used !== undefined && { use: used }) };
    },
    offerExitNode: ({ network, clients, allowHost, dryRun }) =>
      offerExit(networks, door, { network, to: clients, allowHost, dryRun }),
    withdrawExitNode: (request) => withdrawExit(networks, request),
    async useExitNode(request) {
      const result = await exitNode.use(networks, request);
      const used = request.dryRun ? undefined : use();
      return { ...result, ...(used !== undefined && { use: used }) };
    },
    stopExitNode: ({ dryRun }) => exitNode.off(dryRun),
  };
}

function useMessage(
  exitNode: ExitNode,
  networks: Networks,
): MessageInitShape<typeof ExitNodeUseSchema> | undefined {
  const { asked } = exitNode;
  if (asked === undefined) return undefined;
  const network = networks.all().find((one) => one.name === asked.network);
  const reason = { code: "no-network", message: `network ${asked.network} is not joined` };
  const now = network === undefined ? { active: undefined, reason } : exitNode.look(network);
  return {
    network: asked.network,
    automatic: asked.peers === "auto",
    peers: asked.peers === "auto" ? [] : asked.peers.map(peerMessage),
    allowLan: asked.allowLan,
    since: timestampFromMs(asked.since),
    ...(now.active !== undefined && { active: exitMessage(now.active) }),
    ...(now.reason !== undefined && { reason: now.reason }),
  };
}

function exitMessage(exit: ExitView): MessageInitShape<typeof ExitNodeSchema> {
  const { virtualIp, name = "", state, v4, v6, seen } = exit;
  return { virtualIp, name, state, ipv4: v4, ipv6: v6, seenAs: [...seen] };
}

function offerMessage(view: ExitOfferView): MessageInitShape<typeof ExitNodeOfferSchema> {
  const { offer, state, reason, v4, v6, withoutSix = "", devices } = view;
  return {
    state,
    ipv4: v4,
    ipv6: v6,
    withoutIpv6: withoutSix,
    clients: (offer.to ?? []).map(peerMessage),
    allowHost: offer.allowHost,
    devices: [...devices],
    ...(reason !== undefined && { reason }),
  };
}

const peerMessage = ({ virtualIp, name = "" }: Client): MessageInitShape<typeof ExitNodePeerSchema> => ({
  virtualIp,
  name,
});
