/** A station in a thread of its own, from outside. One that breaks down can be opened again. */
import { Worker } from "node:worker_threads";
import { VpnError } from "../../../common/errors.js";
import type { TlsPair } from "../../io/gateway/tls-files.js";
import { PortCalls } from "../../io/port-calls.js";
import type {
  ControlCalls,
  Farewell,
  Limit,
  Measured,
  Released,
  StationHandle,
  StationSetup,
} from "./station-calls.js";

interface Life {
  worker: Worker;
  calls: PortCalls<StationHandle>;
  over: Promise<void>;
}

/** The thread has so long to say goodbye, milliseconds. */
const patienceMs = 5_000;
const entry = new URL("./station-thread.js", import.meta.url);

export class ThreadStation implements StationHandle {
  readonly #setup: StationSetup;
  readonly #control: ControlCalls;
  readonly #onLost: (error: Error) => void;
  readonly #entry: URL;
  /** Absent: there is no thread now, and nothing is left of the one before. */
  #life: Life | undefined;
  #owes = false;
  #hubResponds = true;

  /** @param onLost the thread ended by itself, with its connections and the devices that it had @param thread what runs in it */
  constructor(
    setup: StationSetup,
    control: ControlCalls,
    onLost: (error: Error) => void,
    thread: URL = entry,
  ) {
    this.#setup = setup;
    this.#control = control;
    this.#onLost = onLost;
    this.#entry = thread;
  }

  /** The thread runs, and has loaded what it needs. */
  async prepare(): Promise<void> {
    this.#life ??= this.#begin();
    await this.#life.calls.call("prepare");
  }

  async open(listenFd: number, tls: TlsPair | undefined): Promise<void> {
    await this.#life?.calls.call("open", listenFd, tls);
  }

  release(id: number, farewell: Farewell): Promise<Released> {
    return this.#ask((calls) => calls.call("release", id, farewell), {});
  }

  limit(limits: readonly Limit[]): Promise<void> {
    return this.#ask((calls) => calls.call("limit", limits), undefined);
  }

  measure(): Promise<Measured[]> {
    return this.#ask((calls) => calls.call("measure"), []);
  }

  strays(): Promise<Readonly<Record<string, number>>> {
    return this.#ask((calls) => calls.call("strays"), {});
  }

  renew(tls: TlsPair): Promise<void> {
    return this.#ask((calls) => calls.call("renew", tls), undefined);
  }

  async close(farewell: Farewell): Promise<void> {
    await Promise.race([this.#ask((calls) => calls.call("close", farewell), undefined), late()]);
  }

  async end(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    // From here on its end is no loss.
    this.#life = undefined;
    await Promise.race([life.calls.call("end").catch(() => {}), late()]);
    await life.worker.terminate();
    await life.over;
  }

  responds(): boolean {
    if (this.#owes) return false;
    const life = this.#life;
    if (life === undefined) return true;
    this.#owes = true;
    void this.#ask((calls) => calls.call("responds"), true).then((well) => {
      this.#owes = false;
      this.#hubResponds = well;
    });
    return this.#hubResponds;
  }

  #begin(): Life {
    const worker = new Worker(this.#entry, { workerData: this.#setup });
    const calls = new PortCalls<StationHandle>(worker, this.#control);
    let reason: Error = new VpnError("failed", "a thread of the gateway ended");
    worker.on("error", (error) => {
      reason = error;
    });
    const over = new Promise<void>((resolve) => {
      worker.once("exit", () => {
        calls.end(reason);
        resolve();
        if (this.#life?.worker !== worker) return;
        this.#life = undefined;
        this.#onLost(reason);
      });
    });
    return { worker, calls, over };
  }

  /** What a thread that is not there any more would have said is nothing. */
  async #ask<T>(ask: (calls: Life["calls"]) => Promise<T>, nothing: T): Promise<T> {
    const life = this.#life;
    if (life === undefined) return nothing;
    try {
      return await ask(life.calls);
    } catch (error) {
      if (this.#life === life) throw error;
      return nothing;
    }
  }
}

function late(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, patienceMs).unref();
  });
}
