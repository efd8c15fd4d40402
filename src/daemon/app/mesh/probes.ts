/** Probes of peers that wait for their answer. */
import { VpnError } from "../../../common/errors.js";

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
    return new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(token);
        const hint = `see: vpnctl peer ${virtualIp}`;
        reject(new VpnError("no-reply", `no answer from ${virtualIp} within ${timeoutSeconds} s`, { hint }));
      }, timeoutSeconds * 1000);
      this.#waiting.set(token, (rttSeconds) => {
        clearTimeout(timer);
        this.#waiting.delete(token);
        resolve(rttSeconds);
      });
      send(token);
    });
  }

  answered(token: bigint, rttSeconds: number): void {
    this.#waiting.get(token)?.(rttSeconds);
  }
}
