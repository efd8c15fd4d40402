import type { Gateway, GatewayClient, GatewayUser } from "../../common/gen/vpnd/v1/gateway_pb.js";
import { reasonJson } from "./network-documents.js";
import { filled, type Json, rfc3339 } from "./present.js";

/** @param more what a command has to add: plan, notes of its own */
export function gatewayJson(
  gateway: Gateway,
  more: { readonly [key: string]: Json } = {},
): { schema: string; [key: string]: Json } {
  const { state, users } = gateway;
  return {
    schema: "vpnctl.gateway/v1",
    state,
    reason: reasonJson(gateway.reason),
    declaredIn: filled(gateway.declaredIn),
    users,
    ...(state === "off" ? {} : running(gateway)),
    notes: gateway.notes,
    ...more,
  };
}

export function usersJson(users: readonly GatewayUser[]): { schema: string; [key: string]: Json } {
  return {
    schema: "vpnctl.gateway-users/v1",
    users: users.map(({ name, created, expires, expired, rate, quota, quotaPeriod, quotaUsed, clients }) => ({
      name,
      created: rfc3339(created),
      expires: rfc3339(expires),
      expired,
      rate: rate || undefined,
      ...(quota === 0 ? {} : { quota, quotaPeriod: filled(quotaPeriod), quotaUsed }),
      clients,
    })),
  };
}

function running(gateway: Gateway): { [key: string]: Json } {
  const { listen, path, open, subnets, mtu, maxClients, keepSeconds, workers } = gateway;
  const { into, internet } = gateway;
  const { allow, allowHost, allowClients, dns, fanqiang, padding, anySource, isolation } = gateway;
  return {
    ...{ listen, path, open, subnets, mtu, maxClients, keepSeconds, workers },
    into: filled(into),
    internet,
    ...{ allow, allowHost, allowClients, dns, fanqiang, padding, anySource, isolation },
    clients: gateway.clients.map(clientJson),
    refused: counts(gateway.refused),
    strays: counts(gateway.strays),
  };
}

function clientJson(client: GatewayClient): Json {
  const { id, device, addresses, state, remote } = client;
  return {
    id,
    user: filled(client.user),
    name: filled(client.name),
    ...{ remote, device, addresses, state },
    learnedAddresses: client.learnedAddresses,
    foreign: client.foreign,
    since: rfc3339(client.since),
    rttSeconds: client.rttSeconds,
    rxBytes: Number(client.rxBytes),
    rxPackets: Number(client.rxPackets),
    txBytes: Number(client.txBytes),
    txPackets: Number(client.txPackets),
    quotaLeft: client.quotaLeft,
    drops: counts(client.drops),
  };
}

const counts = (of: Readonly<Record<string, bigint>>): Json =>
  Object.fromEntries(Object.entries(of).map(([name, count]) => [name, Number(count)]));
