import { hostname } from "node:os";
import { gatewayToken } from "../../../common/gateway/token.js";
import type { ChangeSettingsRequest, SettingsService } from "../../../common/gen/vpnd/v1/settings_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { SettingsPatch } from "../../core/network/settings.js";
import { checkLogPolicy } from "../../core/postgres/options.js";
import type { Networks } from "../networks.js";
import { changeSettings } from "../settings/change-settings.js";
import { networkMessage } from "./convert.js";

export function settingsService(networks: Networks): ServiceImpl<(typeof SettingsService)["method"]> {
  return {
    async changeSettings(request) {
      const { network: asked, dryRun } = request;
      const patch = patchOf(request);
      const token = request.token === undefined ? undefined : gatewayToken(request.token);
      const result = await changeSettings(networks, {
        network: asked,
        patch,
        dryRun,
        hostName: hostname(),
        ...(token !== undefined && { token }),
      });
      const origin = networks.declared.originOf(result.network.name);
      return { ...result, network: networkMessage(result.network, origin) };
    },
  };
}

function patchOf(request: ChangeSettingsRequest): SettingsPatch {
  const { iex, virtualIp, name, device, mtu, listenPort, tcpEnd, dns } = request;
  const { retentionSeconds, maxBytes, log } = request;
  const { proxy, routes } = request;
  const gateway = {
    ...(proxy !== undefined && { proxy }),
    ...(routes !== undefined && { routes: routes.prefixes }),
  };
  const kept = {
    ...(retentionSeconds !== undefined && { retentionSeconds }),
    ...(maxBytes !== undefined && { maxBytes: Number(maxBytes) }),
    ...(log !== undefined && { log: checkLogPolicy(log) }),
  };
  return {
    ...(iex.length > 0 && { iex }),
    ...(virtualIp !== undefined && { virtualIp }),
    ...(name !== undefined && { nodeName: name }),
    ...(device !== undefined && { device }),
    ...(mtu !== undefined && { mtu }),
    ...(listenPort !== undefined && { listenPort }),
    ...(dns !== undefined && { dns }),
    ...(Object.keys(gateway).length > 0 && { gateway }),
    ...(Object.keys(kept).length > 0 && { postgres: kept }),
    ...(tcpEnd.case === "tcpListen" && { tcp: { role: "listen", address: tcpEnd.value } as const }),
    ...(tcpEnd.case === "tcpConnect" && { tcp: { role: "connect", address: tcpEnd.value } as const }),
  };
}
