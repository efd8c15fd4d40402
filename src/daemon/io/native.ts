import { loadAddon } from "../../common/addon.js";
import { VpnError } from "../../common/errors.js";
import type {
  CryptoChoice,
  EngineFeatures,
  EngineIdentity,
  EngineOptions,
  MeshEngine,
  PeerCounters,
  PeerId,
} from "../core/engine.js";
import { refusals } from "../core/engine.js";
import type { EngineFilter } from "../core/filter/engine-filter.js";
import { errorCode } from "./atomic-file.js";
import { type RawEvent, toEngineEvent } from "./native-events.js";

interface AddonEngine {
  start(): void;
  stop(): void;
  send(to: string, data: Uint8Array): void;
  connect(tag: number, to: string, epoch?: number): void;
  abort(tag: number): void;
  admit(assoc: number, peer: number): void;
  refuse(assoc: number, reason: number): void;
  setPeer(peer: number, prefixes: readonly string[]): void;
  removePeer(peer: number): void;
  closePeer(peer: number): void;
  ping(peer: number, token: bigint): void;
  sendControl(peer: number, data: Uint8Array): void;
  setIdentity(identity: EngineIdentity): void;
  setFilter(filter: EngineFilter): void;
  peerCounters(peer: number): PeerCounters | undefined;
  counters(): ReturnType<MeshEngine["counters"]>;
  features(): EngineFeatures | undefined;
  responds(): boolean;
  unknownDestinations(): { address: string; packets: number }[];
}

/** What native/napi exports. */
interface Addon {
  openTun(options: { name: string; tap: boolean; plain: boolean; multiQueue: boolean }): {
    fd: number;
    name: string;
  };
  makeSocket(options: {
    family: 4 | 6;
    kind: "udp" | "tcp";
    port: number;
    address: string;
    mark: number;
    shared: boolean;
  }): { fd: number; port: number };
  closeFd(fd: number): void;
  socketPort(fd: number): number;
  lockFile(path: string): number | undefined;
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
  peerGroups(fd: number): number[];
  hungUp(fd: number): boolean;
  ciphers(): string[];
  chooseCrypto(choice: CryptoChoice): string;
  MeshEngine: new (options: EngineOptions, onEvents: (events: RawEvent[]) => void) => AddonEngine;
}

const addon = (): Addon => loadAddon() as Addon;

const tunErrors: Readonly<
  Record<string, { code: "not-permitted" | "failed" | "conflict"; what: string; hint: string }>
> = {
  EPERM: { code: "not-permitted", what: "not permitted", hint: "run vpnd as root or with CAP_NET_ADMIN" },
  EACCES: { code: "not-permitted", what: "not permitted", hint: "run vpnd as root or with CAP_NET_ADMIN" },
  ENOENT: {
    code: "failed",
    what: "/dev/net/tun is missing",
    hint: "run: modprobe tun (in a container, pass the device /dev/net/tun)",
  },
  ENODEV: { code: "failed", what: "the kernel has no TUN driver", hint: "run: modprobe tun" },
  ENXIO: { code: "failed", what: "the kernel has no TUN driver", hint: "run: modprobe tun" },
  ENOTTY: {
    code: "failed",
    what: "/dev/net/tun is something else than the TUN driver",
    hint: "make it anew: mknod /dev/net/tun c 10 200 (in a container, pass the device)",
  },
  EMFILE: {
    code: "failed",
    what: "vpnd has no free file descriptor",
    hint: "allow it more: prlimit --nofile, or LimitNOFILE= of its service",
  },
  EBUSY: {
    code: "conflict",
    what: "another program has it open",
    hint: "stop that program or choose another --device",
  },
  EINVAL: {
    code: "conflict",
    what: "the name does not fit, or the device exists and is of another kind",
    hint: "choose another --device (at most 15 characters); see: ip -details link",
  },
};

/**
 * Makes a TUN (or TAP) device, or attaches to one; packets without information header, with vnet headers where the kernel has
 * them, non-blocking.
 * @param options.name at most 15 characters; may hold "%d"
 * @param options.plain without vnet headers all the same
 * @param options.multiQueue for more than two packet threads
 * @throws VpnError `not-permitted`, `conflict` (in use, other kind) or `failed` (no driver)
 */
export function openTun(options: { name: string; tap?: boolean; plain?: boolean; multiQueue?: boolean }): {
  fd: number;
  name: string;
} {
  const native = addon();
  try {
    return native.openTun({
      name: options.name,
      tap: options.tap ?? false,
      plain: options.plain ?? false,
      multiQueue: options.multiQueue ?? false,
    });
  } catch (error) {
    const known = tunErrors[error instanceof TypeError ? "EINVAL" : (errorCode(error) ?? "")];
    if (!known) throw VpnError.from(error, "failed");
    throw new VpnError(known.code, `cannot open device ${options.name}: ${known.what}`, {
      hint: known.hint,
      cause: error,
    });
  }
}

/**
 * Makes a socket, non-blocking, with its mark set before anything leaves; bound when it is UDP or has a port or address.
 * @returns the port bound, 0 when not bound
 * @throws Error with the system's code ("EADDRINUSE", "EAFNOSUPPORT", "EPERM" for a mark)
 */
export function makeSocket(options: {
  family: 4 | 6;
  kind: "udp" | "tcp";
  /** 0: the kernel chooses. */
  port: number;
  /** Absent: all. */
  address?: string;
  /** SO_MARK; absent: none. */
  mark?: number;
  /** Other sockets of this user that share may have the same port; absent: none. */
  shared?: boolean;
}): { fd: number; port: number } {
  const { family, kind, port, address = "", mark = 0, shared = false } = options;
  return addon().makeSocket({ family, kind, port, address, mark, shared });
}

/** @throws Error `EBADF` when it was not open */
export function closeFd(fd: number): void {
  addon().closeFd(fd);
}

/**
 * Makes the file (0600) if need be and locks it for this process.
 * @returns a descriptor that holds the lock until it is closed; undefined when another process holds it
 */
export function lockFile(path: string): number | undefined {
  return addon().lockFile(path);
}

/** Who connected a Unix socket (SO_PEERCRED). */
export function peerCredentials(fd: number): { pid: number; uid: number; gid: number } {
  return addon().peerCredentials(fd);
}

/** Supplementary groups of who connected a Unix socket, as they were then (SO_PEERGROUPS). */
export function peerGroups(fd: number): number[] {
  return addon().peerGroups(fd);
}

/** Whether the other end of a Unix socket has closed, also when there is still something to read. @throws Error `EBADF` */
export function hungUp(fd: number): boolean {
  return addon().hungUp(fd);
}

/** Data ciphers offered, this machine's best first. */
export function dataCiphers(): string[] {
  return addon().ciphers();
}

/**
 * Who protects the records of sessions made from now on, of all engines.
 * @returns its name and version, such as "libipsec-mb 1.3.0 AVX512"
 * @throws VpnError `failed` when this machine can't; then nothing changed
 */
export function chooseCrypto(choice: CryptoChoice): string {
  try {
    return addon().chooseCrypto(choice);
  } catch (error) {
    const { message } = VpnError.from(error);
    throw new VpnError("failed", `engine.crypto = "${choice}" cannot be used: ${message}`, {
      hint: 'set it to "auto" in the config',
      cause: error,
    });
  }
}

/**
 * Makes the mesh engine; it owns the descriptors from here.
 * @throws TypeError for options of the wrong shape, Error when memory is short; then the descriptors are still the caller's
 */
export function createMeshEngine(options: EngineOptions): MeshEngine {
  return new NativeMeshEngine(addon(), options);
}

class NativeMeshEngine implements MeshEngine {
  onEvent: MeshEngine["onEvent"] = () => {};
  readonly port: number;
  readonly #engine: AddonEngine;
  #stopped = false;

  constructor(native: Addon, options: EngineOptions) {
    const first = options.sockets[0];
    this.port = first ? native.socketPort(first.fd) : 0;
    this.#engine = new native.MeshEngine(options, (events) => this.#deliver(events));
  }

  #deliver(events: RawEvent[]): void {
    for (const event of events) {
      // An earlier event's handler may have stopped the engine.
      if (this.#stopped) return;
      this.onEvent(toEngineEvent(event));
    }
  }

  start(): void {
    this.#engine.start();
  }

  /** The threads need milliseconds to end, so this does not leave the caller's thread. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#engine.stop();
  }

  send(to: string, data: Uint8Array): void {
    this.#engine.send(to, data);
  }

  connect(tag: number, to: string, epoch?: number): void {
    this.#engine.connect(tag, to, epoch);
  }

  abort(tag: number): void {
    this.#engine.abort(tag);
  }

  admit(assoc: number, peer: PeerId): void {
    this.#engine.admit(assoc, peer);
  }

  refuse(assoc: number, reason: keyof typeof refusals): void {
    this.#engine.refuse(assoc, refusals[reason]);
  }

  setPeer(peer: PeerId, prefixes: readonly string[]): void {
    this.#engine.setPeer(peer, prefixes);
  }

  removePeer(peer: PeerId): void {
    this.#engine.removePeer(peer);
  }

  closePeer(peer: PeerId): void {
    this.#engine.closePeer(peer);
  }

  ping(peer: PeerId, token: bigint): void {
    this.#engine.ping(peer, token);
  }

  sendControl(peer: PeerId, data: Uint8Array): void {
    this.#engine.sendControl(peer, data);
  }

  setIdentity(identity: EngineIdentity): void {
    this.#engine.setIdentity(identity);
  }

  setFilter(filter: EngineFilter): void {
    this.#engine.setFilter(filter);
  }

  peerCounters(peer: PeerId): PeerCounters | undefined {
    return this.#engine.peerCounters(peer);
  }

  counters(): ReturnType<MeshEngine["counters"]> {
    return this.#engine.counters();
  }

  features(): EngineFeatures | undefined {
    return this.#engine.features();
  }

  responds(): boolean {
    return this.#engine.responds();
  }

  unknownDestinations(): { address: string; packets: number }[] {
    return this.#engine.unknownDestinations();
  }
}
