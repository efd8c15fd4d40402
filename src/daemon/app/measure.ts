import type { GatewayMeasure, NetworkMeasure } from "../io/metrics/metrics-input.js";
import { stateOf } from "./api/convert.js";
import type { Gateway } from "./gateway/gateway.js";
import type { Networks } from "./networks.js";

/** The networks as metrics show them. A damaged network is one in error. */
export function measureNetworks(networks: Networks): NetworkMeasure[] {
  const usable = networks.all().map((network) => {
    const view = network.carrier?.view();
    return {
      name: network.name,
      state: stateOf(network).state,
      counters: view?.counters,
      handshakes: view?.handshakes ?? {},
      peers: view?.peers ?? [],
      pathChanges: view?.pathChanges ?? 0,
      nameQueries: network.names.counts,
      formerPsks: network.psks
        .epochs()
        .flatMap(({ id, until }) => (until === undefined ? [] : [{ epoch: id, until }])),
    };
  });
  const damaged = networks.damaged().map(({ name }) => ({
    name,
    state: "error",
    counters: undefined,
    handshakes: {},
    peers: [],
    pathChanges: 0,
    nameQueries: {},
    formerPsks: [],
  }));
  return [...usable, ...damaged];
}

export async function measureGateway(gateway: Gateway): Promise<GatewayMeasure> {
  const { clients, refused, strays } = await gateway.view();
  const address = (addresses: readonly string[]): string => addresses[0]?.replace(/\/.*/, "") ?? "";
  return { clients: clients.map((one) => ({ ...one, address: address(one.addresses) })), refused, strays };
}
