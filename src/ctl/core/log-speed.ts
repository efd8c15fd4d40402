import { VpnError } from "../../common/errors.js";

const fastest = 1_000_000;

/** How many times as fast as it was; 0: as fast as it goes. */
export function parseSpeed(text: string): number {
  const speed = /^\d{1,7}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (speed <= fastest) return speed;
  throw new VpnError("usage", `--speed: "${text}" is no speed`, {
    hint: `a number from 0 to ${fastest}; 2 is twice as fast as it was`,
  });
}
