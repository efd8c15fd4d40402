/** URLs of databases. */
import ipaddr from "ipaddr.js";
import { VpnError } from "../errors.js";

export type SslMode = "disable" | "prefer" | "require" | "verify-full";

/** What a URL says. */
export interface PostgresAddress {
  /** "HOST:PORT" each, tried in this order. */
  servers: readonly string[];
  user: string;
  database: string;
  ssl: SslMode;
  /** File with the certificates to trust, for `verify-full`; absent: the system's. */
  rootCertificate?: string;
  /** Name of the network in the database; absent: the local label. */
  network?: string;
}

const defaultPort = 5432;
const mostServers = 8;
const modes: readonly SslMode[] = ["disable", "prefer", "require", "verify-full"];
const example = "write postgres://USER@HOST[:PORT][,HOST…]/DATABASE";

/** Takes a password out of a URL. */
export function splitPassword(url: string): { url: string; password?: string } {
  const match = /^(postgres(?:ql)?:\/\/[^:@/?#]*):([^@/]*)@/.exec(url);
  if (match === null) return { url };
  const [whole, before = "", password = ""] = match;
  return { url: `${before}@${url.slice(whole.length)}`, password: decoded(password) };
}

/** @throws VpnError `usage`, also for a password, which does not belong there */
export function parsePostgresUrl(url: string): PostgresAddress {
  // Never quoted whole: it may hold a password.
  const bad = (why: string): VpnError =>
    new VpnError("usage", `the URL of the database ${why}`, { hint: example });
  if (url.length > 1000) throw bad("is too long");
  const match = /^postgres(?:ql)?:\/\/([^@/?#]*)@([^/?#@]+)(?:\/([^/?#]*))?(?:\?([^#]*))?$/.exec(url);
  if (match === null) throw bad("is none, or names no user");
  const [, user = "", hosts = "", database = "", query = ""] = match;
  if (user.includes(":")) throw bad("holds a password, which others could see");
  if (user === "") throw bad("names no user");
  const servers = hosts.split(",").map((host) => server(host, bad));
  if (servers.length > mostServers) throw bad(`names more than ${mostServers} servers`);
  const more = readQuery(query, bad);
  const name = database === "" ? decoded(user) : decoded(database);
  return { servers: [...new Set(servers)], user: decoded(user), database: name, ...more };
}

/** The same in canonical form. */
export function formatPostgresUrl(address: PostgresAddress): string {
  const { servers, user, database, ssl, rootCertificate, network } = address;
  const query = [
    ...(ssl === "prefer" ? [] : [`sslmode=${ssl}`]),
    ...(rootCertificate === undefined ? [] : [`sslrootcert=${encodeURIComponent(rootCertificate)}`]),
    ...(network === undefined ? [] : [`network=${encodeURIComponent(network)}`]),
  ];
  const tail = query.length === 0 ? "" : `?${query.join("&")}`;
  return `postgres://${encodeURIComponent(user)}@${servers.join(",")}/${encodeURIComponent(database)}${tail}`;
}

type Bad = (why: string) => VpnError;

function server(text: string, bad: Bad): string {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) throw bad(`names ${JSON.stringify(text.slice(0, 100))}, which is no server`);
  const port = Number(match[3] ?? defaultPort);
  if (port < 1 || port > 65_535) throw bad(`names port ${port}, which is none`);
  const [, six, host = ""] = match;
  if (six === undefined) return `${host.toLowerCase()}:${port}`;
  if (!ipaddr.IPv6.isValid(six)) throw bad(`names [${six}], which is no address`);
  return `[${ipaddr.IPv6.parse(six).toRFC5952String()}]:${port}`;
}

function readQuery(query: string, bad: Bad): Pick<PostgresAddress, "ssl" | "rootCertificate" | "network"> {
  const known = { sslmode: "prefer", sslrootcert: "", network: "" };
  for (const part of query === "" ? [] : query.split("&")) {
    const at = part.indexOf("=");
    const key = part.slice(0, Math.max(0, at));
    if (key !== "sslmode" && key !== "sslrootcert" && key !== "network") {
      throw bad(`has ${JSON.stringify(part.slice(0, 60))}; it may have sslmode, sslrootcert and network`);
    }
    known[key] = decoded(part.slice(at + 1));
  }
  const ssl = modes.find((mode) => mode === known.sslmode);
  if (ssl === undefined) throw bad(`has another sslmode than ${modes.join(", ")}`);
  const { sslrootcert: rootCertificate, network } = known;
  if (network !== "" && !/^[a-z0-9][a-z0-9-]{0,31}$/.test(network))
    throw bad("has no good name of a network");
  if (rootCertificate !== "" && !rootCertificate.startsWith("/"))
    throw bad("names no absolute path as sslrootcert");
  return {
    ssl,
    ...(rootCertificate !== "" && { rootCertificate }),
    ...(network !== "" && { network }),
  };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
