/** Changing what a network was joined with. */
import { VpnError } from "../../../common/errors.js";
import { formatBytes } from "../../../common/format/bytes.js";
import { formatDuration } from "../../../common/format/duration.js";
import { formatLogPolicy } from "../../../common/postgres/log-policy.js";
import type { GatewayClientOptions } from "../gateway/client-options.js";
import type { LogRules } from "../postgres/options.js";
import type { TcpOptions } from "../tcp/options.js";
import {
  type CarrierName,
  checkJoinOptions,
  type JoinOptions,
  makeConfig,
  type NetworkConfig,
} from "./config.js";

/** What is absent stays as it is; empty or 0 is automatic, as at `join`. */
export interface SettingsPatch {
  iex?: readonly string[];
  virtualIp?: string;
  nodeName?: string;
  device?: string;
  mtu?: number;
  listenPort?: number;
  tcp?: Pick<TcpOptions, "role" | "address">;
  postgres?: LogRules;
  /** An empty proxy is none. */
  gateway?: { proxy?: string; routes?: readonly string[] };
  dns?: boolean;
}

export interface Setting {
  /** As `vpnctl set` names it. */
  option: string;
  from: string;
  to: string;
}

/** `live`: tunnels go on. `restart`: the device is made anew. `stored`: it is down, and has them from its next start on. */
export type Effect = "none" | "stored" | "live" | "restart";

/** Options that are taken over while the carrier lives, by itself (`Carrier.reconfigure`) or around it. */
export const liveOptions: Readonly<Record<CarrierName, readonly string[]>> = {
  mesh: ["--iex", "--dns"],
  tcp: ["--tcp-listen", "--tcp-connect", "--name", "--dns"],
  postgres: ["--dns", "--retention", "--max-size", "--log"],
  gateway: ["--name", "--dns", "--token-file", "--proxy", "--route"],
};

/** The network with other settings. @throws VpnError `usage` for what makes no sense, or is of another carrier */
export function patched(had: NetworkConfig, patch: SettingsPatch, hostName: string): NetworkConfig {
  const { tcp, postgres, gateway, dns, ...plain } = patch;
  refuseOthers(had, patch);
  const { noDns, ...before } = had.asked;
  const off = dns === undefined ? noDns === true : !dns;
  const asked = checkJoinOptions({
    ...before,
    ...plain,
    ...(tcp !== undefined && had.asked.tcp !== undefined && { tcp: { ...had.asked.tcp, ...tcp } }),
    ...(postgres !== undefined &&
      before.postgres !== undefined && { postgres: { ...before.postgres, ...postgres } }),
    ...(gateway !== undefined &&
      before.gateway !== undefined && { gateway: withGateway(before.gateway, gateway) }),
    ...(off && { noDns: true }),
  });
  const fresh = makeConfig(asked, hostName, had.joined);
  return {
    ...had,
    asked,
    device: fresh.device,
    mtu: fresh.mtu,
    // A host that got another name since is not renamed by the way.
    nodeName: asked.nodeName === had.asked.nodeName ? had.nodeName : fresh.nodeName,
    port: asked.listenPort === 0 ? had.port : asked.listenPort,
  };
}

/** What is different, in the order of `vpnctl set --help`. */
export function settingsChanged(had: NetworkConfig, next: NetworkConfig): Setting[] {
  const [before, after] = [texts(had), texts(next)];
  return Object.entries(after).flatMap(([option, to]) => {
    const from = before[option] ?? "";
    return from === to ? [] : [{ option, from, to }];
  });
}

/** @param runs the network has a carrier now */
export function effectOf(config: NetworkConfig, changes: readonly Setting[], runs: boolean): Effect {
  if (changes.length === 0) return "none";
  if (!runs) return config.up ? "restart" : "stored";
  const live = liveOptions[config.carrier];
  return changes.every(({ option }) => live.includes(option)) ? "live" : "restart";
}

function texts({ carrier, asked, nodeName, device, mtu }: NetworkConfig): Record<string, string> {
  const { tcp, gateway, postgres: { retentionSeconds, maxBytes, log } = {} } = asked;
  const end = (role: TcpOptions["role"]): string => (tcp?.role === role ? tcp.address : "");
  return {
    "--iex": asked.iex.join(","),
    "--vip": asked.virtualIp,
    // In force: a default that is spelled out is the same thing.
    "--name": nodeName,
    "--device": device,
    "--mtu": String(mtu),
    "--listen-port": carrier === "mesh" ? portText(asked) : "",
    "--tcp-listen": end("listen"),
    "--tcp-connect": end("connect"),
    "--retention": retentionSeconds === undefined ? "" : formatDuration(retentionSeconds),
    "--max-size": maxBytes === undefined ? "" : formatBytes(maxBytes),
    "--log": log === undefined ? "" : formatLogPolicy(log),
    "--proxy": gateway?.proxy ?? "",
    "--route": gateway?.routes.join(",") ?? "",
    "--dns": asked.noDns === true ? "off" : "on",
  };
}

const portText = ({ listenPort }: JoinOptions): string => (listenPort === 0 ? "auto" : String(listenPort));

const kinds: Readonly<Record<CarrierName, string>> = {
  mesh: "a mesh",
  tcp: "a TCP link",
  postgres: "a network over PostgreSQL",
  gateway: "a network by way of a gateway",
};

const optionOf = ({ retentionSeconds, maxBytes }: LogRules): string => {
  if (retentionSeconds !== undefined) return "--retention";
  return maxBytes === undefined ? "--log" : "--max-size";
};

function withGateway(
  { proxy: had, ...rest }: GatewayClientOptions,
  { proxy = had ?? "", routes = rest.routes }: NonNullable<SettingsPatch["gateway"]>,
): GatewayClientOptions {
  return { ...rest, routes, ...(proxy !== "" && { proxy }) };
}

/** @throws VpnError `usage` for a network, or a gateway, that asks for no token */
export function refuseToken(config: NetworkConfig, token: string): void {
  if (config.carrier !== "gateway") throw foreignOption(config, "--token-file");
  if (token === "" || config.asked.gateway?.fanqiang !== true) return;
  throw new VpnError("usage", "gateways of fanqiang-poc take no token", { hint: "leave --token-file out" });
}

function refuseOthers(config: NetworkConfig, patch: SettingsPatch): void {
  const { iex, listenPort, tcp, postgres, gateway } = patch;
  const { carrier } = config;
  const foreign = [
    ...(postgres !== undefined && carrier !== "postgres" ? [optionOf(postgres)] : []),
    ...(gateway !== undefined && carrier !== "gateway"
      ? [gateway.proxy === undefined ? "--route" : "--proxy"]
      : []),
    ...(iex !== undefined && carrier !== "mesh" ? ["--iex"] : []),
    ...(listenPort !== undefined && carrier !== "mesh" ? ["--listen-port"] : []),
    ...(tcp !== undefined && carrier !== "tcp" ? [`--tcp-${tcp.role}`] : []),
  ][0];
  if (foreign !== undefined) throw foreignOption(config, foreign);
}

const foreignOption = ({ name, carrier }: NetworkConfig, option: string): VpnError =>
  new VpnError("usage", `${option} is not an option of ${name}, ${kinds[carrier]}`, {
    hint: `to change what it runs on, leave it and join again: vpnctl leave ${name}`,
  });
