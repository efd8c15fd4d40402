/** The gateway of the server that answers vpnctl's tests: one client, one user. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { GatewayService } from "../../../src/common/gen/vpnd/v1/gateway_pb.js";
import type { ServiceImpl } from "../../../src/common/grpc/server.js";

const since = timestampFromMs(1_700_000_000_000);

const gateway = {
  state: "up",
  listen: "127.0.0.1:8080",
  path: "/",
  subnets: ["10.91.0.0/16"],
  mtu: 1500,
  maxClients: 1000,
  keepSeconds: 300,
  isolation: "shared",
  workers: 1,
  into: "home",
  internet: true,
  allow: ["10.0.0.53/32"],
  users: 1,
  clients: [
    {
      id: 7,
      user: "alice",
      name: "laptop",
      remote: "192.0.2.9:4711",
      device: "vpngw-0",
      addresses: ["10.91.0.2/30"],
      state: "up",
      since,
      rttSeconds: 0.0123,
      quotaLeft: 4983,
      rxBytes: 1000n,
      rxPackets: 10n,
      txBytes: 2000n,
      txPackets: 20n,
      drops: { "foreign-source": 3n },
      learnedAddresses: ["192.168.1.5"],
    },
  ],
  refused: { "wrong-token": 2n },
  strays: { "no-client": 5n },
  notes: ["a remark"],
};

export const cannedGateway: ServiceImpl<(typeof GatewayService)["method"]> = {
  startGateway: async ({ dryRun }) => ({
    gateway,
    notes: ["a remark"],
    plan: dryRun ? ["create devices"] : [],
  }),
  stopGateway: async ({ dryRun }) => ({ gateway: { state: "off" }, plan: dryRun ? ["remove devices"] : [] }),
  getGateway: async () => ({ gateway }),
  async *watchGateway() {
    yield { gateway };
  },
  kickClients: async () => ({ kicked: 1 }),
  addGatewayUser: async () => ({ token: "vpngw_token" }),
  listGatewayUsers: async () => ({
    users: [
      {
        name: "alice",
        created: since,
        expires: since,
        expired: true,
        rate: 1000,
        quota: 5000,
        quotaPeriod: "day",
        quotaUsed: 17,
        clients: 1,
      },
    ],
  }),
  revokeGatewayUser: async () => ({ kicked: 1 }),
};
