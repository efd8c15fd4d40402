import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { KeyService } from "../../../common/gen/vpnd/v1/key_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import { fingerprint } from "../../../common/psk.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import { hasPsk } from "../../core/network/config.js";
import type { Network } from "../network.js";
import type { Networks } from "../networks.js";
import { setPsk } from "../psk-set.js";

/** Keys. No answer holds one. */
export function keyService(networks: Networks): ServiceImpl<(typeof KeyService)["method"]> {
  return {
    async getPskStatus({ network }) {
      const keyed = networks.listed(network).filter((one) => hasPsk(one.config.asked));
      return { networks: keyed.map((one) => networkPsk(one, one.psks.epochs())) };
    },
    async setPsk({ network, psk, graceSeconds, dryRun }) {
      const result = await setPsk(networks, { network, psk, graceSeconds, dryRun });
      const { alreadySet, notes, plan } = result;
      const { name } = result.network;
      return { network: name, psk: networkPsk(result.network, result.epochs), alreadySet, notes, plan };
    },
  };
}

function networkPsk(network: Network, epochs: readonly PskEpoch[]) {
  const up = network.carrier?.view().peers.filter((peer) => peer.state === "up") ?? [];
  return {
    network: network.name,
    badger: network.config.asked.badger,
    epochs: epochs.map(({ id, psk, since, until }) => {
      const users = up
        .filter((peer) => peer.pskEpoch === id)
        .map(({ virtualIp, name = "" }) => ({ virtualIp, name }));
      return {
        fingerprint: fingerprint(psk),
        since: timestampFromMs(since),
        ...(until !== undefined && { until: timestampFromMs(until) }),
        peers: users.length,
        users,
      };
    }),
  };
}
