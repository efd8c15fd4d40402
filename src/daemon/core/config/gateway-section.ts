/** What vpnd.toml says about the gateway. */
import { originOf } from "../../../common/config/evaluate.js";
import type { Entry, Origin, Problem } from "../../../common/config/layer.js";
import { VpnError } from "../../../common/errors.js";
import { parseDuration } from "../../../common/format/duration.js";
import { checkGatewayOptions, type GatewayOptions } from "../gateway/options.js";
import type { GatewaySection } from "./gateway-schema.js";
import { inWordsOfFile } from "./problem.js";

/** A gateway that the config declares. */
export interface DeclaredGateway {
  /** Checked. */
  options: GatewayOptions;
  up: boolean;
  /** Where its section says so. */
  origin: Origin;
}

/** What the config says about the gateway. */
export interface GatewaySettings {
  /** Absent: it runs as vpnctl says, if at all. */
  declared?: DeclaredGateway;
  /** Paths of its certificate and key; absent: it does no TLS itself. */
  tls?: { cert: string; key: string };
}

const tlsKeys = ["tls_cert", "tls_key"];

/** @param entries where keys are set */
export function gatewaySettings(
  section: GatewaySection,
  entries: ReadonlyMap<string, Entry>,
): { settings: GatewaySettings; problems: Problem[] } {
  const settings: GatewaySettings = {};
  const problems: Problem[] = [];
  const { tls_cert: cert, tls_key: key, listen } = section;
  if (cert !== undefined && key !== undefined) settings.tls = { cert, key };
  else if (cert !== undefined || key !== undefined) {
    const [given, missing] = cert === undefined ? ["tls_key", "tls_cert"] : ["tls_cert", "tls_key"];
    const origin = originOf(entries, ["gateway", given]);
    problems.push({ origin, message: `gateway: ${given} without ${missing}`, hint: "give both, or neither" });
  }
  if (listen === undefined) {
    const idle = [...entries.values()].find(
      ({ path: [table, name = ""] }) => table === "gateway" && name !== "" && !tlsKeys.includes(name),
    );
    if (idle !== undefined) {
      const message = `gateway: ${idle.path[1]} without listen`;
      problems.push({
        origin: idle.origin,
        message,
        hint: 'say where clients come: listen = "127.0.0.1:8080"',
      });
    }
    return { settings, problems };
  }
  const origin = originOf(entries, ["gateway", "listen"]);
  try {
    settings.declared = { options: optionsOf(section, String(listen)), up: section.up, origin };
  } catch (error) {
    problems.push(inWordsOfFile(VpnError.from(error), "gateway", origin));
  }
  return { settings, problems };
}

/** @throws VpnError `usage`, in words of `vpnctl gateway start` */
function optionsOf(section: GatewaySection, listen: string): GatewayOptions {
  const keepSeconds = parseDuration(section.keep);
  if (keepSeconds === undefined) {
    throw new VpnError("usage", `--keep: ${JSON.stringify(section.keep.slice(0, 64))} cannot be read`, {
      hint: 'write it as "5m" or the like',
    });
  }
  const { path, open, subnet, mtu, dns, allow, into, workers, isolation, fanqiang, padding } = section;
  return checkGatewayOptions({
    ...{ listen, path, open, mtu, dns, allow, into, workers, isolation, fanqiang, padding, keepSeconds },
    subnets: subnet,
    maxClients: section.max_clients,
    allowHost: section.allow_host,
    allowClients: section.allow_clients,
    noInternet: section.no_internet,
    anySource: section.any_source,
  });
}
