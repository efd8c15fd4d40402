import { setTimeout as delay } from "node:timers/promises";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { VpnError } from "../../../common/errors.js";
import type { PeerService, PingRequest } from "../../../common/gen/vpnd/v1/peer_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { Carrier, PeerView } from "../../core/carrier.js";
import { findPeer } from "../../core/network/find-peer.js";
import { forgetPeer } from "../forget-peer.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import { networkPeersMessage, peerMessage } from "./convert.js";

export function peerService(
  networks: Networks,
  stopping: AbortSignal,
): ServiceImpl<(typeof PeerService)["method"]> {
  return {
    async listPeers({ network }) {
      return { networks: networks.listed(network).map(networkPeersMessage) };
    },
    async *watchPeers({ network, intervalSeconds }, { signal }) {
      networks.listed(network);
      const interval = intervalSeconds > 0 ? Math.max(0.1, intervalSeconds) * 1000 : 0;
      for await (const _ of networks.feed.ticks(AbortSignal.any([signal, stopping]), interval)) {
        // The network may be left while it is watched: then there is nothing to say of it.
        const named = networks.all().filter((one) => network === "" || one.name === network);
        yield { networks: named.map(networkPeersMessage) };
      }
    },
    async getPeer({ network, peer }) {
      const found = find(networks, network, peer);
      const { view } = found;
      return {
        network: found.network.name,
        peer: peerMessage(view),
        endpoints: view.endpoints,
        ...(view.pinnedSince === undefined ? {} : { pinnedSince: timestampFromMs(view.pinnedSince) }),
      };
    },
    async removePeer({ network, peer, dryRun }) {
      return forgetPeer(networks, network, peer, dryRun);
    },
    async *ping(request, { signal }) {
      const found = find(networks, request.network, request.peer);
      yield* probes(found, request, AbortSignal.any([signal, stopping]));
    },
  };
}

async function* probes(found: Found, request: PingRequest, signal: AbortSignal) {
  const { network } = found;
  const { virtualIp } = found.view;
  const timeout = positive(request.timeoutSeconds, 3, 60);
  const interval = Math.max(0.2, positive(request.intervalSeconds, 1, 3600));
  for (let sequence = 1; !signal.aborted; sequence++) {
    const { carrier } = network;
    if (!carrier)
      throw new VpnError("failed", `network ${network.name} is not up`, { hint: "vpnctl networks" });
    const started = Date.now();
    const rttSeconds = await answer(carrier, virtualIp, timeout);
    if (signal.aborted) return;
    const now = carrier.view().peers.find((peer) => peer.virtualIp === virtualIp);
    yield {
      network: network.name,
      virtualIp,
      name: now?.name ?? "",
      sequence,
      ...(rttSeconds === undefined ? {} : { rttSeconds }),
      path: now?.path ?? "none",
      endpoint: now?.endpoint ?? "",
    };
    if (request.count !== 0 && sequence >= request.count) return;
    const rest = interval * 1000 - (Date.now() - started);
    if (rest > 0) await delay(rest, undefined, { signal }).catch(() => {});
  }
}

/** Undefined: no answer in time. */
async function answer(carrier: Carrier, virtualIp: string, timeout: number): Promise<number | undefined> {
  try {
    return await carrier.ping(virtualIp, timeout);
  } catch (error) {
    if (error instanceof VpnError && error.code === "no-reply") return undefined;
    throw error;
  }
}

const positive = (value: number, otherwise: number, most: number): number =>
  Number.isFinite(value) && value > 0 ? Math.min(value, most) : otherwise;

interface Found {
  network: Network;
  carrier: Carrier;
  view: PeerView;
}

function find(networks: Networks, asked: string, peer: string): Found {
  const candidates = networks.listed(asked);
  const up = candidates.flatMap((network) => {
    const { carrier } = network;
    return carrier ? [{ network, carrier }] : [];
  });
  const [first] = candidates;
  if (up.length === 0 && first) {
    throw new VpnError("failed", `network ${first.name} is not up`, {
      hint: `bring it up: vpnctl up ${first.name}`,
    });
  }
  const peers = up.flatMap(({ network, carrier }) =>
    carrier.view().peers.map((view) => ({
      network: network.name,
      virtualIp: view.virtualIp,
      ...(view.name === undefined ? {} : { name: view.name }),
      found: { network, carrier, view },
    })),
  );
  return findPeer(peer, peers).found;
}
