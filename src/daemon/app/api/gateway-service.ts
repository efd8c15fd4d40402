import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { VpnError } from "../../../common/errors.js";
import type {
  GatewayClientSchema,
  GatewaySchema,
  GatewayService,
  GatewayUserSchema,
} from "../../../common/gen/vpnd/v1/gateway_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import { isQuotaPeriod } from "../../core/gateway/quota-period.js";
import { type GatewayUser, isOver } from "../../core/gateway/users.js";
import type { ClientView } from "../gateway/client.js";
import type { Gateway } from "../gateway/gateway.js";

const defaultIntervalSeconds = 2;
/** Rates below this starve a client rather than limit it, bytes a second. */
const leastRate = 1000;

export function gatewayService(
  gateway: Gateway,
  stopping: AbortSignal,
): ServiceImpl<(typeof GatewayService)["method"]> {
  return {
    async startGateway({ dryRun, keepSeconds, ...asked }) {
      const change = await gateway.start({ ...asked, keepSeconds }, dryRun);
      return { ...change, gateway: await gatewayMessage(gateway) };
    },
    async stopGateway({ dryRun }) {
      const change = await gateway.stop(dryRun);
      return { ...change, gateway: await gatewayMessage(gateway) };
    },
    async getGateway() {
      return { gateway: await gatewayMessage(gateway) };
    },
    async *watchGateway({ intervalSeconds }, { signal }) {
      const interval = (intervalSeconds > 0 ? Math.max(0.1, intervalSeconds) : defaultIntervalSeconds) * 1000;
      for await (const _ of gateway.feed.ticks(AbortSignal.any([signal, stopping]), interval)) {
        yield { gateway: await gatewayMessage(gateway) };
      }
    },
    async kickClients({ whom }) {
      return { kicked: await gateway.kick(whom) };
    },
    async addGatewayUser({ name, expiresInSeconds, rate, quota, quotaPeriod }) {
      if (expiresInSeconds !== undefined && !(expiresInSeconds > 0)) {
        throw new VpnError("usage", "--expires is no time from now on", { hint: "such as --expires 30d" });
      }
      if (rate !== 0 && !(rate >= leastRate && rate <= Number.MAX_SAFE_INTEGER)) {
        throw new VpnError("usage", "--rate is out of range", { hint: "bytes a second, such as --rate 1M" });
      }
      if (quota !== 0 && !(quota >= 1 && quota <= Number.MAX_SAFE_INTEGER)) {
        throw new VpnError("usage", "--quota is out of range", { hint: "bytes, such as --quota 10G/month" });
      }
      if (quotaPeriod !== "" && !isQuotaPeriod(quotaPeriod)) {
        throw new VpnError("usage", "a quota is for a day, for a month, or once", {
          hint: "such as --quota 1G/day",
        });
      }
      const token = await gateway.users.add(name, {
        ...(expiresInSeconds !== undefined && { expiresInSeconds }),
        ...(rate !== 0 && { rate }),
        ...(quota !== 0 && { quota, ...(quotaPeriod !== "" && { quotaPeriod }) }),
      });
      return { token };
    },
    async listGatewayUsers() {
      const now = Date.now();
      return { users: gateway.users.all().map((user) => userMessage(user, gateway, now)) };
    },
    async revokeGatewayUser({ name }) {
      return { kicked: await gateway.users.revoke(name) };
    },
  };
}

async function gatewayMessage(gateway: Gateway): Promise<MessageInitShape<typeof GatewaySchema>> {
  const {
    state,
    reason,
    options,
    declaredIn = "",
    users,
    clients,
    refused,
    strays,
    notes,
  } = await gateway.view();
  return {
    ...options,
    ...{ state, declaredIn, users },
    ...(reason !== undefined && { reason }),
    clients: clients.map((client) => clientMessage(client, gateway.users.quotaOf(client.user)?.left)),
    refused: counts(refused),
    strays: counts(strays),
    notes,
  };
}

function clientMessage(
  client: ClientView,
  quotaLeft: number | undefined,
): MessageInitShape<typeof GatewayClientSchema> {
  const { since, rttSeconds, rxBytes, rxPackets, txBytes, txPackets, drops, learned, ...rest } = client;
  return {
    ...rest,
    since: timestampFromMs(since),
    ...(rttSeconds !== undefined && { rttSeconds }),
    ...(quotaLeft !== undefined && { quotaLeft }),
    rxBytes: BigInt(rxBytes),
    rxPackets: BigInt(rxPackets),
    txBytes: BigInt(txBytes),
    txPackets: BigInt(txPackets),
    drops: counts(drops),
    learnedAddresses: [...learned],
  };
}

function userMessage(
  user: GatewayUser,
  gateway: Gateway,
  now: number,
): MessageInitShape<typeof GatewayUserSchema> {
  const { name, created, expires, rate = 0, quota = 0, quotaPeriod = "" } = user;
  return {
    name,
    created: timestampFromMs(created),
    ...(expires !== undefined && { expires: timestampFromMs(expires) }),
    expired: isOver(user, now),
    rate,
    ...{ quota, quotaPeriod },
    quotaUsed: gateway.users.quotaOf(name)?.used ?? 0,
    clients: gateway.connections(name),
  };
}

const counts = (of: Readonly<Record<string, number>>): Record<string, bigint> =>
  Object.fromEntries(Object.entries(of).map(([name, count]) => [name, BigInt(count)]));
