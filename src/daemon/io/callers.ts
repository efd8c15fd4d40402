import type { Socket } from "node:net";
import type { Caller } from "../core/access/access.js";
import { hungUp, peerCredentials, peerGroups } from "./native.js";

/**
 * Who is at the other end of an accepted Unix socket, as the kernel noted at connect.
 * @throws Error when the kernel does not say; then nobody is to be let in
 */
export function callerOf(socket: Socket): Caller {
  const fd = descriptorOf(socket);
  if (fd === undefined) throw new Error("the connection has no descriptor");
  return { ...peerCredentials(fd), groups: peerGroups(fd) };
}

/** Whether nobody is at the other end any more; Node itself learns that only when it reads. */
export function isGone(socket: Socket): boolean {
  const fd = descriptorOf(socket);
  return fd === undefined || hungUp(fd);
}

/** Node has no public way to a socket's descriptor; a test guards this one. Undefined when it is closed. */
function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

/**
 * Gives connections a name that gRPC hands on with each call: it shows nothing of a Unix socket but its `remoteAddress`,
 * which such sockets lack.
 */
export class Callers {
  readonly #byName = new Map<string, Caller>();
  #last = 0;

  add(socket: Socket, caller: Caller): void {
    const name = `connection-${++this.#last}`;
    Object.defineProperty(socket, "remoteAddress", { value: name, configurable: true });
    this.#byName.set(name, caller);
    socket.once("close", () => this.#byName.delete(name));
  }

  /** @param peer as a call's context has it; undefined for a connection that has closed */
  get(peer: string): Caller | undefined {
    return this.#byName.get(peer);
  }
}
