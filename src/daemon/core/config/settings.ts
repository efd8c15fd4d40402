import { evaluate, originOf } from "../../../common/config/evaluate.js";
import type { Entry, Origin, Problem } from "../../../common/config/layer.js";
import type { LogLevel } from "../../../common/config/values.js";
import { type HostPort, parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";
import type { CryptoChoice } from "../engine.js";
import { checkJoinOptions, type JoinOptions, makeConfig, type NetworkConfig } from "../network/config.js";
import { checkOverlap } from "../network/overlap.js";
import { carrierOf, secretFilesOf } from "./carrier-section.js";
import { type GatewaySettings, gatewaySettings } from "./gateway-section.js";
import { inWordsOfFile } from "./problem.js";
import { type NetworkSection, type VpndFile, vpndSchema } from "./schema.js";

/** A network that the config declares. */
export interface DeclaredNetwork {
  /** Checked. */
  options: JoinOptions;
  /** Absolute path; absent: a link that is not encrypted. */
  pskFile?: string;
  /** Absolute path; absent: nobody asks for a password, or a token. */
  passwordFile?: string;
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
  /** Whether each peer has series of its own. */
  metricsPerPeer: boolean;
  logLevel: LogLevel;
  crypto: CryptoChoice;
  /** Packet threads of each network. */
  threads: number | "auto";
  gateway: GatewaySettings;
  networks: DeclaredNetwork[];
}

/** What entries come to, with all that is wrong with them. */
export interface EvaluatedSettings {
  settings: Settings | undefined;
  problems: Problem[];
  entries: ReadonlyMap<string, Entry>;
}

/** @param entries of files, then of flags; the later wins */
export function evaluateSettings(entries: readonly Entry[]): EvaluatedSettings {
  const evaluated = evaluate(vpndSchema, entries, "docs/config.md");
  const problems = [...evaluated.problems];
  const { value } = evaluated;
  if (!value) return { settings: undefined, problems, entries: evaluated.entries };
  const networks: DeclaredNetwork[] = [];
  for (const [name, section] of Object.entries(value.network)) {
    const origin = originOf(evaluated.entries, ["network", name]);
    const options = joinOptions(name, section);
    if (options instanceof VpnError) problems.push(inWordsOfFile(options, `network ${name}`, origin));
    else networks.push({ options, ...secretFilesOf(section), up: section.up, origin });
  }
  problems.push(...collisions(networks));
  const gateway = gatewaySettings(value.gateway, evaluated.entries);
  problems.push(...gateway.problems);
  const settings = problems.length === 0 ? toSettings(value, networks, gateway.settings) : undefined;
  return { settings, problems, entries: evaluated.entries };
}

function toSettings(file: VpndFile, networks: DeclaredNetwork[], gateway: GatewaySettings): Settings {
  const { listen } = file.metrics;
  return {
    stateDir: file.state_dir,
    socket: file.socket,
    group: file.socket_group ?? "vpnd",
    groupGiven: file.socket_group !== undefined,
    readAccess: file.read_access,
    metrics: listen === undefined ? undefined : parseEndpoint(listen),
    metricsPerPeer: file.metrics.per_peer,
    logLevel: file.log.level,
    crypto: file.engine.crypto,
    threads: file.engine.threads,
    gateway,
    networks,
  };
}

/** What `vpnctl join` with the same words would ask for, or what is wrong with it. */
function joinOptions(network: string, section: NetworkSection): JoinOptions | VpnError {
  try {
    return checkJoinOptions({
      network,
      ...carrierOf(section),
      virtualIp: section.vip ?? "",
      device: section.device,
      mtu: section.mtu,
      nodeName: section.name,
      ...(!section.dns && { noDns: true }),
    });
  } catch (error) {
    return VpnError.from(error);
  }
}

/** Networks that exclude each other. One that is down takes nothing from others. */
function collisions(networks: readonly DeclaredNetwork[]): Problem[] {
  const problems: Problem[] = [];
  const before: NetworkConfig[] = [];
  for (const { options, origin } of networks.filter((one) => one.up)) {
    const config = makeConfig(options, "", 0);
    try {
      checkOverlap(config, before, []);
      before.push(config);
    } catch (error) {
      problems.push(inWordsOfFile(VpnError.from(error), `network ${options.network}`, origin));
    }
  }
  return problems;
}
