/** Probes of peers that wait for their answer. */
import { roundTrip } from "../round-trip.js";

export class Probes {
  readonly #waiting = new Map<bigint, (rttSeconds: number) => void>();
  #lastToken = 0n;

  /**
   * @param send says the probe with a token that its answer repeats
   * @returns the round trip in seconds
   * @throws VpnError `no-reply`
   */
  probe(virtualIp: string, timeoutSeconds: number, send: (token: bigint) => void): Promise<number> {
    this.#lastToken += 1n;
    const token = this.#lastToken;
    return roundTrip(virtualIp, timeoutSeconds, (answered) => {
      this.#waiting.set(token, answered);
      send(token);
      return () => this.#waiting.delete(token);
    });
  }

  /** Of a probe that nobody waits for any more nothing comes. */
  answered(token: bigint, rttSeconds: number): void {
    this.#waiting.get(token)?.(rttSeconds);
    this.#waiting.delete(token);
  }
}
