/** All stations of a gateway: one in this thread, or several in threads of their own, which share the port. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { backoffMs } from "../../core/backoff.js";
import type { TlsPair } from "../../io/gateway/tls-files.js";
import { Station, type StationPlatform } from "./station.js";
import type {
  ControlCalls,
  Farewell,
  Limit,
  Measured,
  Released,
  StationHandle,
  StationSetup,
} from "./station-calls.js";
import { ThreadStation } from "./thread-station.js";

export interface StationsOptions {
  workers: number;
  setup: StationSetup;
  platform: StationPlatform;
  /** What the station with that number calls. */
  calls: (station: number) => ControlCalls;
  /** Makes a socket for the port. @throws VpnError when it cannot be had */
  listen: (shared: boolean) => number;
  tls: () => TlsPair | undefined;
  /** The station's connections and its devices are gone. */
  onLost: (station: number) => void;
  log: Logger;
  /** Absent: as it is meant to be; else for tests. */
  makeThread?: (calls: ControlCalls, onLost: (error: Error) => void) => StationHandle;
}

const restarts = { firstMs: 200, maxMs: 30_000 };
/** A thread that ran so long did not fail because it was started, milliseconds. */
const goodMs = 60_000;

export class Stations {
  readonly #options: StationsOptions;
  readonly #all: readonly StationHandle[];
  readonly #stopping = new AbortController();
  /** Opened, or about to be opened again. */
  readonly #failures = new Map<number, { count: number; at: number }>();
  readonly #reopening = new Set<number>();

  constructor(options: StationsOptions) {
    this.#options = options;
    const { workers, setup, platform, calls } = options;
    const makeThread = options.makeThread ?? ((own, onLost) => new ThreadStation(setup, own, onLost));
    this.#all =
      workers === 1
        ? [new Station(setup, platform, calls(0))]
        : Array.from({ length: workers }, (_, index) =>
            makeThread(calls(index), (error) => this.#lost(index, error)),
          );
  }

  /** @throws VpnError when the port cannot be had */
  async open(): Promise<void> {
    const { listen, platform } = this.#options;
    // Sockets that share a port would not notice that somebody else has it.
    if (this.#shared) platform.closeFd(listen(false));
    await Promise.all(this.#all.map((station) => this.#open(station)));
  }

  /** As `StationCalls.release`. */
  async release(station: number, id: number, farewell: Farewell): Promise<Released> {
    return this.#all[station]?.release(id, farewell) ?? {};
  }

  /** As `StationCalls.limit`. */
  async limit(station: number, limits: readonly Limit[]): Promise<void> {
    await this.#all[station]?.limit(limits);
  }

  async measure(): Promise<Measured[]> {
    return (await Promise.all(this.#all.map((station) => station.measure()))).flat();
  }

  /** As `StationCalls.strays`, of all of them; a thread that broke down takes what it counted with it. */
  async strays(): Promise<Record<string, number>> {
    const sum: Record<string, number> = {};
    for (const strays of await Promise.all(this.#all.map((station) => station.strays())))
      for (const [reason, count] of Object.entries(strays)) sum[reason] = (sum[reason] ?? 0) + count;
    return sum;
  }

  async renew(tls: TlsPair): Promise<void> {
    await Promise.all(this.#all.map((station) => station.renew(tls)));
  }

  /** None is opened again from here on. */
  async close(farewell: Farewell): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#all.map((station) => station.close(farewell)));
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.map((station) => station.end()));
  }

  responds(): boolean {
    // Each is asked, whatever the first says.
    return !this.#all.map((station) => station.responds()).includes(false);
  }

  get #shared(): boolean {
    return this.#all.length > 1;
  }

  async #open(station: StationHandle): Promise<void> {
    await station.prepare();
    await station.open(this.#options.listen(this.#shared), this.#options.tls());
  }

  #lost(index: number, error: Error): void {
    if (this.#stopping.signal.aborted) return;
    this.#options.log.error(
      { err: error, worker: index },
      "a thread of the gateway broke down; it starts again",
    );
    this.#options.onLost(index);
    void this.#reopen(index);
  }

  async #reopen(index: number): Promise<void> {
    const station = this.#all[index];
    const { signal } = this.#stopping;
    if (station === undefined || this.#reopening.has(index)) return;
    this.#reopening.add(index);
    const before = this.#failures.get(index);
    let count = before === undefined || performance.now() - before.at > goodMs ? 0 : before.count;
    for (let open = false; !open && !signal.aborted; ) {
      count += 1;
      await delay(backoffMs(restarts, count, Math.random()), undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      try {
        await this.#open(station);
        open = true;
      } catch (error) {
        this.#options.log.error({ err: error, worker: index }, "a thread of the gateway does not start");
        await station.end();
      }
    }
    this.#failures.set(index, { count, at: performance.now() });
    this.#reopening.delete(index);
    if (signal.aborted) await station.end();
  }
}
