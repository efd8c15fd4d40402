import type { Server, Socket } from "node:net";
import type { Logger } from "pino";
import { errorCode } from "../../io/atomic-file.js";
import { isGone } from "../../io/callers.js";
import type { Rejection } from "../../io/metrics/metrics.js";

/** Connections that are served. */
export const mostConnections = 128;
/** Connections beyond these that are told so, each for a short while; what is beyond them too is closed at once. */
const mostTurnedAway = 32;
/** All that the kernel hands over at a time: room for a burst of those that are closed at once. */
const mostOpen = 256;
const turnedAwayMs = 3_000;
const silentMs = 10_000;
/** Long enough for Node to notice an end that it can notice. */
const lookMs = 500;
/** Garbage comes soon; how long connections are looked at after the last one came. */
const looksAfterLast = 6;

interface Open {
  releases: (() => void)[];
  /** It was gone at the look before this one. */
  gone: boolean;
}

/**
 * Keeps count of the API's connections, and of those that vpnd ended.
 *
 * After some errors of the other side nghttp2 answers GOAWAY, and Node then neither reads on nor says so. Nothing notices that the
 * other side has hung up after that, and the connection would keep its place until it counts as idle. So we look ourselves.
 */
export class Connections {
  readonly #onRejected: (reason: Rejection) => void;
  readonly #log: Logger;
  readonly #open = new Map<Socket, Open>();
  #served = 0;
  #turnedAway = 0;
  #looks = 0;
  #looking: NodeJS.Timeout | undefined;

  constructor(onRejected: (reason: Rejection) => void, log: Logger) {
    this.#onRejected = onRejected;
    this.#log = log;
  }

  /** Counts those that the socket itself drops. */
  watch(server: Server): void {
    server.maxConnections = mostOpen;
    server.on("drop", () => this.#onRejected("limit"));
    server.once("close", () => this.#stopLooking());
  }

  /** Looks after a new connection. */
  enter(connection: Socket): void {
    this.#open.set(connection, { releases: [], gone: false });
    connection.once("close", () => this.#release(connection));
    connection.on("error", (error) => {
      if (errorCode(error) === "ERR_HTTP2_ERROR") this.#onRejected("protocol");
      this.#log.debug({ err: error }, "API connection failed");
    });
    const silent = setTimeout(() => {
      if (connection.bytesRead > 0 || connection.destroyed) return;
      this.#onRejected("silent");
      connection.destroy();
    }, silentMs);
    this.whenGone(connection, () => clearTimeout(silent));
    this.#looks = looksAfterLast;
    this.#looking ??= setInterval(() => this.#look(), lookMs).unref();
  }

  /** Called once: when it has closed, or when nobody is at its other end. */
  whenGone(connection: Socket, release: () => void): void {
    const state = this.#open.get(connection);
    if (state === undefined) release();
    else state.releases.push(release);
  }

  /** Frees the places of those that have left without Node's noticing, for this new one. */
  makeRoom(newcomer: Socket): void {
    for (const connection of this.#open.keys()) {
      if (connection !== newcomer && isGone(connection)) this.#end(connection);
    }
  }

  /** @returns whether there is room to serve it */
  serve(connection: Socket): boolean {
    if (this.#served >= mostConnections) this.makeRoom(connection);
    if (this.#served >= mostConnections) return false;
    this.#served += 1;
    this.whenGone(connection, () => {
      this.#served -= 1;
    });
    return true;
  }

  /** Ends it in a moment. @returns whether it can be told why until then; otherwise it is closed already */
  turnAway(connection: Socket, reason: Rejection): boolean {
    this.#onRejected(reason);
    if (this.#turnedAway >= mostTurnedAway) this.makeRoom(connection);
    if (this.#turnedAway >= mostTurnedAway) {
      connection.destroy();
      return false;
    }
    this.#turnedAway += 1;
    const timer = setTimeout(() => connection.destroy(), turnedAwayMs);
    this.whenGone(connection, () => {
      clearTimeout(timer);
      this.#turnedAway -= 1;
    });
    return true;
  }

  /** Ends those that were gone at the look before and that Node still takes for open: they were told GOAWAY, and it stopped reading. */
  #look(): void {
    for (const [connection, state] of this.#open) {
      if (!isGone(connection)) continue;
      if (state.gone) {
        this.#onRejected("protocol");
        this.#end(connection);
      }
      state.gone = true;
    }
    this.#looks -= 1;
    if (this.#looks <= 0) this.#stopLooking();
  }

  #stopLooking(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  /** Node says `close` only later. */
  #end(connection: Socket): void {
    connection.destroy();
    this.#release(connection);
  }

  #release(connection: Socket): void {
    const state = this.#open.get(connection);
    this.#open.delete(connection);
    for (const release of state?.releases ?? []) release();
  }
}
