import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type DaemonService, GetVersionResponseSchema } from "../../../common/gen/vpnd/v1/daemon_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { KillSwitch } from "../kill-switch/kill-switch.js";
import type { Networks } from "../networks.js";
import { killSwitchMessage } from "./kill-switch-service.js";
import { listNetworks } from "./network-service.js";

/** What the daemon knows of itself. */
export interface About {
  version: string;
  /** Milliseconds since 1970. */
  started: number;
  stateDir: string;
}

export function daemonService(
  networks: Networks,
  killSwitch: KillSwitch,
  about: About,
): ServiceImpl<(typeof DaemonService)["method"]> {
  return {
    async getStatus() {
      return {
        version: about.version,
        pid: process.pid,
        started: timestampFromMs(about.started),
        stateDir: about.stateDir,
        networks: listNetworks(networks),
        ...(killSwitch.on && { killSwitch: await killSwitchMessage(killSwitch) }),
      };
    },
    async getVersion() {
      return create(GetVersionResponseSchema, {
        version: about.version,
        nodeVersion: process.versions.node,
        opensslVersion: process.versions.openssl ?? "",
      });
    },
  };
}
