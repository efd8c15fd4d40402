/** Whether a carrier works, for those who wait to know. The last word counts. */
import { VpnError } from "../../common/errors.js";

type Outcome = { kind: "pending" } | { kind: "ready" } | { kind: "failed"; error: VpnError };

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

export class Readiness {
  #outcome: Outcome = { kind: "pending" };
  readonly #waiters = new Set<Waiter>();

  /** @throws VpnError as it failed, or with the signal's reason */
  wait(signal: AbortSignal): Promise<void> {
    if (this.#outcome.kind === "ready") return Promise.resolve();
    if (this.#outcome.kind === "failed") return Promise.reject(this.#outcome.error);
    return new Promise((resolve, reject) => {
      const onAbort = () => waiter.reject(signal.reason);
      const done = () => {
        this.#waiters.delete(waiter);
        signal.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        resolve: () => {
          done();
          resolve();
        },
        reject: (error) => {
          done();
          reject(VpnError.from(error, "cancelled"));
        },
      };
      if (signal.aborted) {
        waiter.reject(signal.reason);
        return;
      }
      this.#waiters.add(waiter);
      signal.addEventListener("abort", onAbort);
    });
  }

  ready(): void {
    this.#outcome = { kind: "ready" };
    for (const waiter of [...this.#waiters]) waiter.resolve();
  }

  failed(error: VpnError): void {
    this.#outcome = { kind: "failed", error };
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  /** Nothing more comes of it; what it came to before still counts. */
  stop(error: VpnError): void {
    if (this.#outcome.kind === "pending") this.failed(error);
  }
}
