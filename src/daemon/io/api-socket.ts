import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { VpnError } from "../../common/errors.js";
import { errorCode } from "./atomic-file.js";

/** The longest path that fits sockaddr_un with its closing zero. */
const pathMax = 107;

/**
 * Whether a socket of this path can be made: nothing there, or one whose daemon is gone.
 * @throws VpnError `already-exists` when a daemon answers, `failed` when something else is in the way
 */
export async function probeSocket(path: string): Promise<"free" | "stale"> {
  if (Buffer.byteLength(path) > pathMax) {
    throw new VpnError("usage", `the socket's path is longer than ${pathMax} bytes`, {
      hint: "choose a shorter --socket",
    });
  }
  try {
    if (!lstatSync(path).isSocket()) {
      throw new VpnError("failed", `${path} is there and is no socket`, { hint: "choose another --socket" });
    }
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "free";
    throw VpnError.from(error, "failed");
  }
  const outcome = await tryConnect(path);
  if (outcome === "ECONNREFUSED") return "stale";
  if (outcome === "ENOENT") return "free";
  if (outcome === undefined) {
    throw new VpnError("already-exists", `a vpnd is running already (it answers on ${path})`, {
      hint: "stop it: sudo systemctl stop vpnd; or choose another --socket and --state-dir",
    });
  }
  throw new VpnError("failed", `cannot tell who holds ${path} (${outcome})`, {
    hint: "choose another --socket",
  });
}

/** @returns error code of connect, undefined when somebody listens */
function tryConnect(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error) => resolve(errorCode(error) ?? error.message));
  });
}

/** Group number by name from an /etc/group text. */
export function groupId(groups: string, name: string): number | undefined {
  for (const line of groups.split("\n")) {
    const [group, , id] = line.split(":");
    if (group === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return undefined;
}

/** The group's number on this machine; undefined when there is no such group. */
export function findGroup(name: string): number | undefined {
  return groupId(readFileSync("/etc/group", "utf8"), name);
}

/** Who may connect, by the file's mode. */
export interface SocketAudience {
  /** Undefined: the owner alone. */
  group: number | undefined;
  /** Every user of the machine may connect; what they may do is for the listener to say. */
  everybody: boolean;
}

/** Listens on the path. The file is never open to more than its audience, not even for a moment. */
export async function listenOnSocket(
  path: string,
  { group, everybody }: SocketAudience,
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  if ((await probeSocket(path)) === "stale") unlinkSync(path);
  const server = createServer(onConnection);
  server.maxConnections = 128;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(new VpnError("failed", `cannot listen on ${path}: ${error.message}`, { cause: error })),
    );
    const before = process.umask(0o177);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(before);
    }
  });
  if (group !== undefined) giveToGroup(path, group);
  if (everybody) chmodSync(path, 0o666);
  else if (group !== undefined) chmodSync(path, 0o660);
  return server;
}

/** A service whose own group it is needs no right to change owners. */
function giveToGroup(path: string, group: number): void {
  if (statSync(path).gid === group) return;
  try {
    chownSync(path, process.getuid?.() ?? 0, group);
  } catch (error) {
    throw new VpnError("failed", `cannot give ${path} to group ${group} (${errorCode(error) ?? "?"})`, {
      hint: "as a service, set Group= to that group: systemctl edit vpnd",
      cause: error,
    });
  }
}
