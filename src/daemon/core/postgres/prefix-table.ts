import { parseCidr } from "../network/cidr.js";

interface Entry<T> {
  bytes: readonly number[];
  length: number;
  value: T;
}

/** What belongs to the longest prefix that an address is in. */
export class PrefixTable<T> {
  /** The longest first. */
  readonly #entries: readonly Entry<T>[];

  /** @param prefixes in CIDR notation; what is none is left out */
  constructor(prefixes: Iterable<readonly [string, T]>) {
    this.#entries = [...prefixes]
      .flatMap(([text, value]) => {
        const cidr = parseCidr(text);
        return cidr === undefined ? [] : [{ bytes: cidr.bytes, length: cidr.length, value }];
      })
      .sort((a, b) => b.length - a.length);
  }

  find(address: Uint8Array): T | undefined {
    for (const entry of this.#entries) if (isIn(address, entry)) return entry.value;
    return undefined;
  }

  /** Whether an address is in a prefix with this value. */
  has(address: Uint8Array, value: T): boolean {
    return this.#entries.some((entry) => entry.value === value && isIn(address, entry));
  }
}

function isIn(address: Uint8Array, { bytes, length }: Entry<unknown>): boolean {
  if (address.length !== bytes.length) return false;
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== bytes[i]) return false;
  const left = 8 - (length & 7);
  return left === 8 || (address[whole] ?? 0) >> left === (bytes[whole] ?? 0) >> left;
}
