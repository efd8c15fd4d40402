import { VpnError } from "../../../common/errors.js";
import type { NetworkPeers } from "../../../common/gen/vpnd/v1/peer_pb.js";
import { networkOf } from "../../core/globals.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, withApi } from "../context.js";

/** Returns once every network asked for is up and has so many peers; exit 8 when that takes too long. */
const wait: CtlCommand<{ readonly peers?: number }, [string?]> = async (context, { peers = 0 }, positional) =>
  withApi(context, async (api) => {
    const network = networkOf(context.globals, positional);
    const { timeoutSeconds, json } = context.globals;
    let last: readonly NetworkPeers[] | undefined;
    try {
      const options = { timeoutMs: timeoutSeconds * 1000, signal: context.signal };
      for await (const { networks } of api.peers.watchPeers({ network, intervalSeconds: 1 }, options)) {
        last = networks;
        if (networks.length === 0 || !networks.every((one) => isReady(one, peers))) continue;
        for (const one of networks) {
          const count = peersUp(one);
          context.out.write(
            json
              ? jsonLine({ schema: "vpnctl.wait/v1", network: one.network, peersUp: count })
              : `${one.network} is up, ${count} ${count === 1 ? "peer" : "peers"}\n`,
          );
        }
        return 0;
      }
    } catch (thrown) {
      const error = VpnError.from(thrown);
      if (error.code !== "no-reply") throw error;
      throw new VpnError("no-reply", `not ready after ${timeoutSeconds} s: ${missing(last, peers)}`, {
        hint: "see why: vpnctl peers; or wait longer: --timeout 60s",
        cause: error,
      });
    }
    throw new VpnError("failed", "vpnd ended the watch", { hint: "is it stopping? vpnctl status" });
  });

function isReady(network: NetworkPeers, peers: number): boolean {
  return network.self?.state === "up" && peersUp(network) >= peers;
}

function peersUp(network: NetworkPeers): number {
  return network.peers.filter((peer) => peer.state === "up").length;
}

function missing(networks: readonly NetworkPeers[] | undefined, peers: number): string {
  if (networks === undefined) return "vpnd did not answer";
  if (networks.length === 0) return "no network is joined";
  const first = networks.find((one) => !isReady(one, peers));
  if (first === undefined) return "the networks went up and down";
  if (first.self?.state !== "up") return `${first.network} is ${first.self?.state ?? "unknown"}`;
  return `${first.network} has ${peersUp(first)} of ${peers} peers`;
}

export default wait;
