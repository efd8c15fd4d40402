import type { Server, Socket } from "node:net";
import type { Logger } from "pino";
import { errorCode } from "../../io/atomic-file.js";
import type { Rejection } from "../../io/metrics/metrics.js";

/** Connections that are served. */
export const mostConnections = 128;
/** Connections beyond these that are told so, each for a short while; what is beyond them too is closed at once. */
export const mostTurnedAway = 32;
const turnedAwayMs = 3_000;
const silentMs = 10_000;

/** Keeps count of the API's connections, and of those that vpnd ended. */
export class Connections {
  readonly #onRejected: (reason: Rejection) => void;
  readonly #log: Logger;
  #served = 0;

  constructor(onRejected: (reason: Rejection) => void, log: Logger) {
    this.#onRejected = onRejected;
    this.#log = log;
  }

  /** Counts those that the socket itself drops. */
  watch(server: Server): void {
    server.maxConnections = mostConnections + mostTurnedAway;
    server.on("drop", () => this.#onRejected("limit"));
  }

  /** Looks after a new connection. @returns whether it is to be served; otherwise it is to be told that there is no room */
  enter(connection: Socket): boolean {
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
    if (this.#served >= mostConnections) {
      this.turnAway(connection, "limit");
      return false;
    }
    this.#served += 1;
    connection.once("close", () => {
      this.#served -= 1;
    });
    return true;
  }

  /** It is told why, and then ended. */
  turnAway(connection: Socket, reason: Rejection): void {
    this.#onRejected(reason);
    const timer = setTimeout(() => connection.destroy(), turnedAwayMs);
    connection.once("close", () => clearTimeout(timer));
  }
}
