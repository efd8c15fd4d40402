/** Connects to a PostgreSQL and logs in: sockets of the one maker, pg's TLS and log-in, then our own talk. */
import { readFile } from "node:fs/promises";
import { isIP, type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import { parseEndpoint } from "../endpoint.js";
import { VpnError } from "../errors.js";
import { noTls, untrusted } from "./faults.js";
import type { PostgresAddress } from "./url.js";
import { DatabaseError, WireConnection } from "./wire-connection.js";

export interface ConnectOptions {
  address: PostgresAddress;
  /** Undefined: none is needed. */
  password: string | undefined;
  /** Sockets of vpnd have one maker; absent: an ordinary one. */
  makeSocket?: (options: { family: 4 | 6; kind: "tcp"; port: number }) => { fd: number };
  /** Looks "HOST:PORT" up, for "ADDR:PORT" of each address; never rejects. */
  resolve: (server: string) => Promise<string[]>;
  /** What `pg_stat_activity` shows. */
  applicationName: string;
  /** A server that takes no writes will do. */
  readOnly?: boolean;
}

export interface Connected {
  connection: WireConnection;
  /** "ADDR:PORT" of the server. */
  endpoint: string;
  /** Absent: not encrypted. */
  cipher?: string;
}

const connectMs = 10_000;
const keepAliveMs = 5_000;
const readBytes = 128 << 10;

/**
 * Tries the servers in their order until one takes writes, unless none are asked for.
 * @throws DatabaseError for what a server refused, VpnError `failed` when none can be reached
 */
export async function connectDatabase(options: ConnectOptions, signal: AbortSignal): Promise<Connected> {
  let last: unknown;
  for (const server of options.address.servers) {
    const endpoints = await options.resolve(server);
    if (endpoints.length === 0) {
      last ??= new VpnError("failed", `${server} has no address`, { hint: "check the name and DNS" });
    }
    for (const endpoint of endpoints) {
      signal.throwIfAborted();
      try {
        return await logIn(options, server, endpoint, signal);
      } catch (error) {
        // What a server says is worth more than that another one says nothing.
        if (!(last instanceof DatabaseError)) last = error;
      }
    }
  }
  signal.throwIfAborted();
  throw last;
}

const noTlsThere = /does not support SSL/;

async function logIn(
  options: ConnectOptions,
  server: string,
  endpoint: string,
  signal: AbortSignal,
): Promise<Connected> {
  const { address } = options;
  if (address.ssl !== "prefer") return attempt(options, server, endpoint, address.ssl !== "disable", signal);
  try {
    return await attempt(options, server, endpoint, true, signal);
  } catch (error) {
    if (!(error instanceof Error) || !noTlsThere.test(error.message)) throw error;
    return attempt(options, server, endpoint, false, signal);
  }
}

async function attempt(
  options: ConnectOptions,
  server: string,
  endpoint: string,
  encrypted: boolean,
  signal: AbortSignal,
): Promise<Connected> {
  const target = parseEndpoint(endpoint);
  if (target === undefined) throw new VpnError("internal", `${endpoint} is no endpoint`);
  const { address, password = "", applicationName } = options;
  const tap = new Tap(options.makeSocket?.({ family: target.family, kind: "tcp", port: 0 }).fd);
  const { socket } = tap;
  const client = new pg.Client({
    host: target.address,
    port: target.port,
    user: address.user,
    database: address.database,
    // A function: anything empty would be looked for in files of whoever started vpnd.
    password: () => password,
    ssl: encrypted ? await tlsOptions(address, server) : false,
    application_name: applicationName,
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
    stream: () => socket,
  });
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  // Errors after the first one are of no interest, and must not end the process.
  client.on("error", () => {});
  try {
    await client.connect();
    const stream = takeStream(client);
    // Over TLS what comes is not what the socket reads.
    const connection = new WireConnection(stream, stream === socket ? tap.chunks : undefined);
    if (options.readOnly !== true) await refuseStandby(connection, endpoint);
    const cipher = cipherOf(stream);
    return { connection, endpoint, ...(cipher !== undefined && { cipher }) };
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw explained(error, endpoint);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** pg has logged in; what follows is ours alone. */
function takeStream(client: pg.Client): Duplex {
  const { connection } = client as unknown as { connection: { stream: Duplex } };
  const { stream } = connection;
  for (const event of ["data", "error", "close", "end"]) stream.removeAllListeners(event);
  return stream;
}

/** What others may have put into schemas that everybody writes to is not taken for what belongs to the system. */
const ownPath = "SET search_path = pg_catalog, pg_temp";

/** Of two servers of a pair one takes no writes. */
async function refuseStandby(connection: WireConnection, endpoint: string): Promise<void> {
  const [row] = await connection.script(`${ownPath}; SELECT pg_catalog.pg_is_in_recovery()`);
  if (row?.[0] !== "t") return;
  connection.destroy(new Error("standby"));
  throw new DatabaseError({ code: "25006", message: `${endpoint} is a standby` });
}

async function tlsOptions(address: PostgresAddress, server: string): Promise<ConnectionOptions> {
  const host = server.slice(0, server.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  const name = isIP(host) === 0 ? { servername: host } : { host };
  if (address.ssl !== "verify-full") return { ...name, rejectUnauthorized: false };
  const { rootCertificate } = address;
  return { ...name, ...(rootCertificate !== undefined && { ca: await readFile(rootCertificate) }) };
}

function cipherOf(stream: Duplex): string | undefined {
  if (!("getCipher" in stream) || typeof stream.getCipher !== "function") return undefined;
  const { standardName } = stream.getCipher() as { standardName?: string };
  return standardName;
}

/** A socket that reads into one piece of memory: a new one for each read costs more than all else that is done with it. */
class Tap {
  readonly socket: Socket;
  #onChunk: ((chunk: Buffer) => void) | undefined;

  /** @param fd not connected; absent: Node makes one */
  constructor(fd?: number) {
    const onread = {
      buffer: Buffer.allocUnsafe(readBytes),
      callback: (count: number, memory: Uint8Array) => {
        const chunk = Buffer.from(memory.buffer, memory.byteOffset, count);
        // Until it is ours, whoever listens may keep what it gets.
        if (this.#onChunk === undefined) this.socket.emit("data", Buffer.from(chunk));
        else this.#onChunk(chunk);
        return true;
      },
    };
    // Node would read from a socket that it did not connect itself at once, and fail.
    const options: SocketConstructorOpts & { manualStart: boolean; onread: OnReadOpts } = {
      ...(fd !== undefined && { fd }),
      manualStart: true,
      onread,
    };
    this.socket = new Socket(options);
  }

  readonly chunks = (onChunk: (chunk: Buffer) => void): void => {
    this.#onChunk = onChunk;
  };
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
};

function explained(error: unknown, endpoint: string): Error {
  if (error instanceof DatabaseError || error instanceof VpnError) return error;
  if (error instanceof pg.DatabaseError) {
    return new DatabaseError({ code: error.code ?? "XX000", message: error.message });
  }
  if (!(error instanceof Error)) return VpnError.from(error, "failed");
  const code = "code" in error ? String(error.code) : "";
  const { message } = error;
  // In the words of pg, which knew what to do no more than the server did.
  if (/client password must be/.test(message))
    return new DatabaseError({ code: "28P01", message: "it asks for a password, and none is given" });
  if (noTlsThere.test(message)) return new DatabaseError({ code: noTls, message: `${endpoint}: ${message}` });
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code))
    return new DatabaseError({ code: untrusted, message: `${endpoint}: ${message}` });
  // What pg says when its time is up.
  const why = reasons[code] ?? (/timeout/.test(message) ? "no answer" : message);
  return new VpnError("failed", `cannot connect to ${endpoint}: ${why}`, { cause: error });
}
