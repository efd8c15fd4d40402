/** Keeps the log in its bounds: closes parts of it, drops old ones; every minute, and whenever much was written. */
import { setTimeout as delay } from "node:timers/promises";
import { type ConnectOptions, connectDatabase } from "../../../common/postgres/connect.js";

const tidyMs = 60_000;
/** Between two at least. */
const restMs = 1_000;
const steps = ["cut_part", "tidy", "tidy_transit", "fit_period"];

export class LogTidying {
  readonly #connect: ConnectOptions;
  readonly #me: string;
  readonly #over: AbortSignal;
  /** How large a part may become, bytes; undefined: the log has no bound. */
  #share: number | undefined;
  /** Bytes written since it was looked for parts that are too large. */
  #grown = 0;
  #busy = false;
  #tidiedAt = Number.NEGATIVE_INFINITY;

  /** @param me number of this node @param over nothing is done any more */
  constructor(connect: ConnectOptions, me: number, over: AbortSignal) {
    this.#connect = connect;
    this.#me = String(me);
    this.#over = over;
  }

  /** To be called every few seconds. @param share as `vpnd.share` says */
  tick(share: number | undefined): void {
    this.#share = share;
    if (performance.now() - this.#tidiedAt > tidyMs) void this.#tidy();
    else this.grew(0);
  }

  /** So much was written into the log. */
  grew(bytes: number): void {
    this.#grown += bytes;
    if (this.#share !== undefined && this.#grown > this.#share) void this.#tidy();
  }

  async #tidy(): Promise<void> {
    if (this.#busy || this.#over.aborted) return;
    this.#busy = true;
    this.#grown = 0;
    this.#tidiedAt = performance.now();
    await this.#run();
    await delay(restMs, undefined, { signal: this.#over, ref: false }).catch(() => {});
    this.#busy = false;
    this.grew(0);
  }

  /** On a connection of its own, because it may take long; what fails is for the next time. */
  async #run(): Promise<void> {
    try {
      const { connection } = await connectDatabase(this.#connect, this.#over);
      try {
        // Each in a transaction of its own.
        for (const step of steps) await connection.run(`SELECT vpnd.${step}($1::integer)`, [this.#me]);
      } finally {
        connection.end();
      }
    } catch {
      // Most likely what the other connections will say too.
    }
  }
}
