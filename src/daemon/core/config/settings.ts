import type { Origin } from "../../../common/config/layer.js";
import type { LogLevel } from "../../../common/config/values.js";
import { type HostPort, parseEndpoint } from "../../../common/endpoint.js";
import { checkJoinOptions, type JoinOptions } from "../network/config.js";
import type { NetworkSection, VpndFile } from "./schema.js";

/** A network that the config declares. */
export interface DeclaredNetwork {
  /** Checked. */
  options: JoinOptions;
  /** Absolute path. */
  pskFile: string;
  up: boolean;
  /** Where its section is. */
  origin: Origin;
}

/** What vpnd runs with: flags over config files over defaults. */
export interface Settings {
  stateDir: string;
  socket: string;
  /** Group of the socket. `groupGiven`: it must exist. */
  group: string;
  groupGiven: boolean;
  readAccess: "group" | "all";
  /** Address of the metrics; undefined: none. */
  metrics: HostPort | undefined;
  logLevel: LogLevel;
  networks: DeclaredNetwork[];
}

/** @param originOf where a network's section is */
export function toSettings(file: VpndFile, originOf: (network: string) => Origin): Settings {
  const { listen } = file.metrics;
  return {
    stateDir: file.state_dir,
    socket: file.socket,
    group: file.socket_group ?? "vpnd",
    groupGiven: file.socket_group !== undefined,
    readAccess: file.read_access,
    metrics: listen === undefined ? undefined : parseEndpoint(listen),
    logLevel: file.log.level,
    networks: Object.entries(file.network).map(([name, section]) => ({
      options: joinOptions(name, section),
      pskFile: section.psk_file,
      up: section.up,
      origin: originOf(name),
    })),
  };
}

/** What `vpnctl join` with the same words would ask for. @throws VpnError `usage` */
export function joinOptions(network: string, section: NetworkSection): JoinOptions {
  return checkJoinOptions({
    network,
    iex: section.iex,
    virtualIp: section.vip,
    badger: section.badger,
    listenPort: section.listen_port,
    device: section.device,
    mtu: section.mtu,
    nodeName: section.name,
  });
}
