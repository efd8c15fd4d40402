/** The text of service messages (sd_notify(3)): lines of NAME=VALUE. */

/** One line, so that it cannot smuggle in a second message; systemd shows no more than this anyway. */
export function statusText(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, " ").slice(0, 200);
}

/** @param monotonicUs microseconds of CLOCK_MONOTONIC */
export function reloadingMessage(monotonicUs: bigint): string {
  return `RELOADING=1\nMONOTONIC_USEC=${monotonicUs}`;
}

const maxFdName = 255;

/** @throws RangeError for a name that systemd would refuse */
export function checkFdName(name: string): string {
  if (name !== "" && name.length <= maxFdName && /^[\x21-\x39\x3b-\x7e]+$/.test(name)) return name;
  throw new RangeError(`${JSON.stringify(name)} is no name of a stored descriptor`);
}

/**
 * How often the watchdog wants a sign of life, milliseconds; undefined: it does not watch this process.
 * @param env WATCHDOG_USEC and WATCHDOG_PID as systemd sets them
 */
export function watchdogPeriod(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const { WATCHDOG_USEC: usec, WATCHDOG_PID: watched } = env;
  if (usec === undefined || !/^[1-9]\d{0,15}$/.test(usec)) return undefined;
  if (watched !== undefined && watched !== String(pid)) return undefined;
  return Number(usec) / 1000;
}
