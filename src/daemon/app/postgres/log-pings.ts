import { randomBytes } from "node:crypto";
import { encodeLinkControl, parseLinkControl } from "../../core/tcp/control.js";

interface Ping {
  node: number;
  at: number;
  answered: (rttSeconds: number) => void;
}

/** Says something to a node by way of the database. */
type Say = (node: number, message: Uint8Array) => void;

/** Pings that wait for an answer at most. */
const mostPings = 64;

/** Round trips between nodes, by rows that are no packets. */
export class LogPings {
  readonly #waiting = new Map<number, Ping>();

  /** @returns gives it up; undefined: there are too many */
  ask(node: number, say: Say, answered: (rttSeconds: number) => void): (() => void) | undefined {
    if (this.#waiting.size >= mostPings) return undefined;
    const token = randomBytes(4).readUInt32BE();
    this.#waiting.set(token, { node, at: performance.now(), answered });
    say(node, encodeLinkControl({ type: "ping", token }));
    return () => this.#waiting.delete(token);
  }

  /** Something that a node has said. @returns the round trip, seconds, if it was an answer */
  heard(node: number, message: Uint8Array, say: Say): number | undefined {
    const control = parseLinkControl(message);
    if (control === undefined) return undefined;
    if (control.type === "ping") {
      say(node, encodeLinkControl({ ...control, type: "pong" }));
      return undefined;
    }
    const ping = this.#waiting.get(control.token);
    if (ping?.node !== node) return undefined;
    this.#waiting.delete(control.token);
    const rttSeconds = (performance.now() - ping.at) / 1000;
    ping.answered(rttSeconds);
    return rttSeconds;
  }
}
