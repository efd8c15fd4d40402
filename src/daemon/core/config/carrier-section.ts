/** What a network's section says about its carrier. */
import { VpnError } from "../../../common/errors.js";
import type { JoinOptions } from "../network/config.js";
import { postgresSection } from "./postgres-section.js";
import type { NetworkSection } from "./schema.js";

type Carrier = Pick<JoinOptions, "iex" | "badger" | "listenPort" | "tcp" | "gateway" | "postgres">;
type Key = Exclude<keyof NetworkSection, "name" | "device" | "mtu" | "dns" | "up">;

/** The key that makes a network one of these, and the keys that none of the others has. */
const kinds: readonly { makes: Key; called: string; own: readonly Key[] }[] = [
  { makes: "iex", called: "a mesh", own: ["vip", "psk_file", "badger", "listen_port"] },
  { makes: "tcp_listen", called: "a TCP link", own: ["vip", "tap", "tls_psk_file"] },
  { makes: "tcp_connect", called: "a TCP link", own: ["vip", "tap", "tls_psk_file"] },
  {
    makes: "postgres",
    called: "a network over PostgreSQL",
    own: ["vip", "psk_file", "postgres_password_file", "fast", "log", "retention", "max_size"],
  },
  {
    makes: "gateway",
    called: "a network by way of a gateway",
    own: ["token_file", "proxy", "routes", "fanqiang", "padding"],
  },
];
const advice: Partial<Record<Key, string>> = {
  psk_file: "the key of a link is in tls_psk_file",
  tap: "a link has tcp_listen or tcp_connect instead of iex",
  tls_psk_file: "a link has tcp_listen or tcp_connect instead of iex",
  vip: "the gateway gives its clients their addresses",
};

/**
 * The part of `vpnctl join` that names the carrier.
 * @throws VpnError `usage` for keys that are missing or do not go together
 */
export function carrierOf(section: NetworkSection): Carrier {
  const [kind, second] = kinds.filter(({ makes }) => isGiven(section, makes));
  if (kind === undefined) {
    throw usage(
      "no other end is named",
      "give iex for a mesh, tcp_listen or tcp_connect for a link, postgres, or gateway",
    );
  }
  if (second !== undefined) throw usage(`${kind.makes} and ${second.makes} exclude each other`, "drop one");
  const foreign = kinds
    .flatMap(({ own }) => own)
    .find((key) => isGiven(section, key) && !kind.own.includes(key));
  if (foreign !== undefined) {
    throw usage(`${foreign} is no key of ${kind.called}`, advice[foreign] ?? "drop it");
  }
  return optionsOf(section, kind.makes);
}

/** Files that hold the key, and the password or token. */
export function secretFilesOf(section: NetworkSection): { pskFile?: string; passwordFile?: string } {
  const pskFile = section.psk_file ?? section.tls_psk_file;
  const { postgres_password_file: ofRole, token_file: ofClient } = section;
  const passwordFile = ofRole === "" ? ofClient : ofRole;
  return { ...(pskFile !== "" && { pskFile }), ...(passwordFile !== "" && { passwordFile }) };
}

function optionsOf(section: NetworkSection, makes: Key): Carrier {
  const { badger, listen_port: listenPort, iex = [] } = section;
  const plain = { iex, badger, listenPort };
  if (makes === "iex") {
    if (isGiven(section, "psk_file")) return plain;
    throw usage("a mesh needs a key", "give psk_file; make one: vpnctl psk generate --out FILE");
  }
  if (makes === "postgres") return { ...plain, postgres: postgresSection(section) };
  if (makes === "gateway") {
    const { gateway: url, proxy, routes, fanqiang, padding, token_file: token } = section;
    if (fanqiang && token !== "") throw usage("gateways of fanqiang-poc take no token", "drop token_file");
    return { ...plain, gateway: { url, routes, fanqiang, padding, ...(proxy !== "" && { proxy }) } };
  }
  const { tap, tls_psk_file: key, tcp_listen: listen, tcp_connect: connect } = section;
  const end =
    makes === "tcp_listen"
      ? ({ role: "listen", address: String(listen) } as const)
      : ({ role: "connect", address: connect } as const);
  return { ...plain, tcp: { ...end, tap, tls: key !== "" } };
}

/** Whether a key says something else than its default. */
function isGiven(section: NetworkSection, key: Key): boolean {
  const value = section[key];
  if (key === "tcp_listen") return value !== "";
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== "" && value !== false && value !== 0;
}

const usage = (message: string, hint: string): VpnError => new VpnError("usage", message, { hint });
