/** Finds the other end of a link: waits for it, or connects to it again and again. */
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { VpnError } from "../../../common/errors.js";
import { encodeClassic } from "../../../common/frames.js";
import { backoffMs } from "../../core/backoff.js";
import type { Reason } from "../../core/carrier.js";
import type { Endpoint } from "../../core/engine.js";
import type { PskEpoch } from "../../core/keys/psk-ring.js";
import { overlaps, parseCidr } from "../../core/network/cidr.js";
import { encodeTaken } from "../../core/tcp/hello.js";
import { splitListen, type TcpOptions } from "../../core/tcp/options.js";
import { close, dial, listen, type MakeTcpSocket, prepared, remoteOf } from "../../io/tcp/sockets.js";
import { secureClient, secureServer } from "../../io/tcp/tls.js";

/** A stream that is the link's, or would be. */
export interface Candidate {
  stream: Duplex;
  endpoint: string;
  /** Keying material of TLS; empty without it. */
  binding: Uint8Array;
  cipher?: string;
  epoch?: PskEpoch;
}

export interface LinkWayOptions {
  tcp: TcpOptions;
  /** Own address in CIDR notation, canonical. */
  virtualIp: string;
  /** Accepted PSKs, the preferred one first. */
  psks: () => readonly PskEpoch[];
  makeSocket: MakeTcpSocket;
  /** Looks "HOST:PORT" up; never rejects. */
  resolve: (server: string) => Promise<Endpoint[]>;
  /** The link has its two ends. */
  taken: () => boolean;
  /** The stream is the receiver's. Resolves when the link is free again. */
  onCandidate: (candidate: Candidate) => Promise<void>;
  /** Somebody at this endpoint did not become the other end. */
  onFailure: (endpoint: string, error: VpnError) => void;
  onDrop: (reason: "second-connection" | "too-many-connections") => void;
}

const redial = { firstMs: 500, maxMs: 30_000 };
/** A connection that lasted so long was a good one, milliseconds. */
const goodMs = 10_000;
const mostHandshakes = 16;
/** Who is turned away has so long to listen, milliseconds. */
const turnAwayMs = 2_000;
const unbound = new Uint8Array(0);

export class LinkWay {
  readonly #options: LinkWayOptions;
  readonly #closing = new AbortController();
  #servers: Server[] = [];
  #dialling: Promise<void> = Promise.resolve();
  /** Connections that are not the link's yet, or never will be. */
  readonly #guests = new Set<Socket>();

  constructor(options: LinkWayOptions) {
    this.#options = options;
  }

  /** @throws VpnError when it cannot listen there */
  async open(): Promise<void> {
    const { tcp, makeSocket } = this.#options;
    if (tcp.role === "connect") this.#dialling = this.#dialAll();
    else
      this.#servers = await listen(
        makeSocket,
        splitListen(tcp.address),
        (socket) => void this.#accept(socket),
      );
  }

  /** Nobody is let in or looked for any more. Resolves when the link's connection is over too. */
  async close(): Promise<void> {
    this.#closing.abort(new VpnError("cancelled", "the network was stopped"));
    for (const socket of this.#guests) socket.destroy();
    await close(this.#servers);
    await this.#dialling;
  }

  /** The first one has the link, but with TLS whoever has the key may come back before its old connection is dead. */
  async #accept(socket: Socket): Promise<void> {
    const { tcp, psks, taken, onCandidate, onFailure, onDrop } = this.#options;
    const full = this.#closing.signal.aborted || this.#guests.size >= mostHandshakes;
    if (full || (!tcp.tls && taken())) {
      onDrop(taken() ? "second-connection" : "too-many-connections");
      if (full) socket.destroy();
      else this.#turnAway(socket);
      return;
    }
    const endpoint = remoteOf(socket);
    prepared(socket);
    if (!tcp.tls) {
      void onCandidate({ stream: socket, endpoint, binding: unbound });
      return;
    }
    this.#guests.add(socket);
    try {
      const secured = await secureServer(socket, psks());
      void onCandidate({ ...secured, endpoint });
    } catch (error) {
      onFailure(endpoint, VpnError.from(error));
    } finally {
      this.#guests.delete(socket);
    }
  }

  #turnAway(socket: Socket): void {
    this.#guests.add(socket);
    const timer = setTimeout(() => socket.destroy(), turnAwayMs);
    socket.on("error", () => {});
    socket.once("close", () => {
      clearTimeout(timer);
      this.#guests.delete(socket);
    });
    // What is left unread would make the close a reset, by which the other end might miss the words.
    socket.resume();
    socket.end(encodeClassic(encodeTaken(this.#options.tcp.tap)));
  }

  async #dialAll(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      const began = performance.now();
      const failure = await this.#dialOnce();
      if (signal.aborted) return;
      failures = failure === undefined && performance.now() - began > goodMs ? 1 : failures + 1;
      if (failure !== undefined) this.#options.onFailure(this.#options.tcp.address, failure);
      await delay(backoffMs(redial, failures, Math.random()), undefined, { signal, ref: false }).catch(
        () => {},
      );
    }
  }

  /** Connects, and returns when the connection is over; with an error when there was none. */
  async #dialOnce(): Promise<VpnError | undefined> {
    const { tcp, makeSocket, resolve, onCandidate } = this.#options;
    const { signal } = this.#closing;
    const endpoints = await resolve(tcp.address);
    let error = new VpnError("failed", `${tcp.address} has no address`, { hint: "check the name and DNS" });
    for (const endpoint of endpoints) {
      if (signal.aborted) return error;
      try {
        this.#refuseLoop(endpoint);
        const socket = await dial(makeSocket, endpoint, signal);
        const candidate = await this.#secured(socket, endpoint);
        if (signal.aborted) candidate.stream.destroy();
        else await onCandidate(candidate);
        return undefined;
      } catch (thrown) {
        error = VpnError.from(thrown);
      }
    }
    return error;
  }

  async #secured(socket: Socket, endpoint: string): Promise<Candidate> {
    const { tcp, psks } = this.#options;
    if (!tcp.tls) return { stream: socket, endpoint, binding: unbound };
    this.#guests.add(socket);
    try {
      return { ...(await secureClient(socket, psks())), endpoint };
    } finally {
      this.#guests.delete(socket);
    }
  }

  /** A link through itself would never come up. */
  #refuseLoop(endpoint: string): void {
    const own = parseCidr(this.#options.virtualIp);
    const address = endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
    const target = parseCidr(`${address}/${address.includes(":") ? 128 : 32}`);
    if (own === undefined || target === undefined || !overlaps(own, target)) return;
    throw new VpnError("failed", `${endpoint} is inside the link's own network ${own.prefix}`, {
      hint: "connect to the address that the other end has outside the link",
    });
  }
}

/** Why nobody became the other end. */
export function reasonOf(error: VpnError): Reason {
  const code = error.code === "not-permitted" ? "wrong-psk" : "unreachable";
  return { code, message: error.message };
}
