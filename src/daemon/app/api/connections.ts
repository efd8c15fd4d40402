import type { Server, Socket } from "node:net";
import type { Logger } from "pino";
import { errorCode } from "../../io/atomic-file.js";
import type { Rejection } from "../../io/metrics/metrics.js";

/** Connections that are served. */
export const mostConnections = 128;
/** Connections beyond these that are told so, each for a short while; what is beyond them too is closed at once. */
const mostTurnedAway = 32;
/** All that the kernel hands over at a time: room for a burst of those that are closed at once. */
const mostOpen = 256;
const turnedAwayMs = 3_000;
const silentMs = 10_000;

/** Keeps count of the API's connections, and of those that vpnd ended. */
export class Connections {
  readonly #onRejected: (reason: Rejection) => void;
  readonly #log: Logger;
  #served = 0;
  #turnedAway = 0;

  constructor(onRejected: (reason: Rejection) => void, log: Logger) {
    this.#onRejected = onRejected;
    this.#log = log;
  }

  /** Counts those that the socket itself drops. */
  watch(server: Server): void {
    server.maxConnections = mostOpen;
    server.on("drop", () => this.#onRejected("limit"));
  }

  /** Looks after a new connection. */
  enter(connection: Socket): void {
    connection.on("error", (error) => {
      if (errorCode(error) === "ERR_HTTP2_ERROR") this.#onRejected("protocol");
      this.#log.debug({ err: error }, "API connection failed");
    });
    const silent = setTimeout(() => {
      if (connection.bytesRead > 0 || connection.destroyed) return;
      this.#onRejected("silent");
      connection.destroy();
    }, silentMs);
    connection.once("close", () => clearTimeout(silent));
  }

  /** @returns whether there is room to serve it */
  serve(connection: Socket): boolean {
    if (this.#served >= mostConnections) return false;
    this.#served += 1;
    connection.once("close", () => {
      this.#served -= 1;
    });
    return true;
  }

  /** Ends it in a moment. @returns whether it can be told why until then; otherwise it is closed already */
  turnAway(connection: Socket, reason: Rejection): boolean {
    this.#onRejected(reason);
    if (this.#turnedAway >= mostTurnedAway) {
      connection.destroy();
      return false;
    }
    this.#turnedAway += 1;
    const timer = setTimeout(() => connection.destroy(), turnedAwayMs);
    connection.once("close", () => {
      clearTimeout(timer);
      this.#turnedAway -= 1;
    });
    return true;
  }
}
