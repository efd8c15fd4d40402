import { VpnError } from "../../common/errors.js";

/**
 * Waits for the answer of a probe of a peer.
 * @param ask sends the probe; `answered` is called with the round trip, seconds @returns what forgets it, when no answer came
 * @throws VpnError `no-reply`
 */
export function roundTrip(
  virtualIp: string,
  timeoutSeconds: number,
  ask: (answered: (rttSeconds: number) => void) => (() => void) | undefined,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let forget: (() => void) | undefined;
    const timer = setTimeout(() => {
      forget?.();
      const hint = `see: vpnctl peer ${virtualIp}`;
      reject(new VpnError("no-reply", `no answer from ${virtualIp} within ${timeoutSeconds} s`, { hint }));
    }, timeoutSeconds * 1000);
    forget = ask((rttSeconds) => {
      clearTimeout(timer);
      resolve(rttSeconds);
    });
  });
}
