import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { printChange } from "../gateway.js";

export interface GatewayStartFlags {
  readonly listen?: string;
  readonly path?: string;
  readonly open?: boolean;
  readonly subnet?: readonly string[];
  readonly maxClients?: number;
  /** Seconds. */
  readonly keep?: number;
  readonly mtu?: number;
  readonly dns?: readonly string[];
  readonly allow?: readonly string[];
  readonly allowHost?: boolean;
  readonly allowClients?: boolean;
  readonly fanqiang?: boolean;
  readonly padding?: boolean;
  readonly workers?: number;
  readonly into?: string;
  readonly noInternet?: boolean;
  readonly anySource?: boolean;
  readonly isolation?: "tun" | "shared";
  readonly dryRun?: boolean;
}

const gatewayStart: CtlCommand<GatewayStartFlags, []> = async (context, flags) => {
  const { dryRun = false } = flags;
  const request = {
    listen: flags.listen ?? "",
    path: flags.path ?? "",
    open: flags.open ?? false,
    subnets: [...(flags.subnet ?? [])],
    mtu: flags.mtu ?? 0,
    maxClients: flags.maxClients ?? 0,
    ...(flags.keep !== undefined && { keepSeconds: flags.keep }),
    allow: [...(flags.allow ?? [])],
    allowHost: flags.allowHost ?? false,
    allowClients: flags.allowClients ?? false,
    dns: [...(flags.dns ?? [])],
    fanqiang: flags.fanqiang ?? false,
    padding: flags.padding ?? false,
    workers: flags.workers ?? 0,
    into: flags.into ?? "",
    noInternet: flags.noInternet ?? false,
    anySource: flags.anySource ?? false,
    isolation: flags.isolation ?? "",
    dryRun,
  };
  const answer = await withApi(context, (api) => api.gateway.startGateway(request, unaryOptions(context)));
  printChange(context, answer, dryRun, "the gateway runs already");
  return 0;
};

export default gatewayStart;
