/**
 * Pins: which node key an address belongs to, remembered from the first authenticated contact on. Another key at a pinned
 * address is refused until the pin is forgotten: by command, or when the key has not been seen for 30 days.
 */

/** Serialisable as JSON; times are milliseconds since 1970. */
export interface Pin {
  address: string;
  /** Lower-case hex of the node key. */
  nodeKey: string;
  since: number;
  lastSeen: number;
}

/** A pin unseen for this long is forgotten. */
export const pinLifetimeMs = 30 * 24 * 3600 * 1000;
const maxPins = 4096;

export type PinCheck = "new" | "match" | "mismatch";

export class Pins {
  readonly #pins = new Map<string, Pin>();

  constructor(stored: readonly Pin[] = []) {
    for (const pin of stored) this.#pins.set(pin.address, { ...pin });
  }

  /** @param wall milliseconds since 1970 */
  check(address: string, nodeKey: string, wall: number): PinCheck {
    const pin = this.get(address, wall);
    if (pin === undefined) return "new";
    return pin.nodeKey === nodeKey ? "match" : "mismatch";
  }

  /** The living pin of an address. */
  get(address: string, wall: number): Pin | undefined {
    const pin = this.#pins.get(address);
    // A clock set back must not make a pin look old, nor one set forward and back keep it for ever.
    return pin !== undefined && Math.abs(wall - pin.lastSeen) < pinLifetimeMs ? pin : undefined;
  }

  /** Pins, or notes that a pinned key was seen. Returns whether the pin is new. Check first. */
  see(address: string, nodeKey: string, wall: number): boolean {
    const pin = this.get(address, wall);
    if (pin !== undefined && pin.nodeKey === nodeKey) {
      pin.lastSeen = wall;
      return false;
    }
    if (!this.#pins.has(address) && this.#pins.size >= maxPins) this.#dropOldest();
    this.#pins.set(address, { address, nodeKey, since: wall, lastSeen: wall });
    return true;
  }

  /** Returns whether there was one. */
  forget(address: string): boolean {
    return this.#pins.delete(address);
  }

  /** Everything that is worth storing. */
  list(wall: number): Pin[] {
    return [...this.#pins.values()]
      .filter((pin) => this.get(pin.address, wall) !== undefined)
      .map((pin) => ({ ...pin }));
  }

  #dropOldest(): void {
    let oldest: Pin | undefined;
    for (const pin of this.#pins.values()) {
      if (oldest === undefined || pin.lastSeen < oldest.lastSeen) oldest = pin;
    }
    if (oldest !== undefined) this.#pins.delete(oldest.address);
  }
}

/** Stored pins without that of an address, for a mesh that is not running; undefined: it had none. */
export function withoutPin(stored: unknown, address: string): Pin[] | undefined {
  const pins = readPins(stored);
  const kept = pins.filter((pin) => pin.address !== address);
  return kept.length < pins.length ? kept : undefined;
}

/** Pins out of stored JSON; entries that are not pins are left out. */
export function readPins(stored: unknown): Pin[] {
  return Array.isArray(stored) ? stored.filter(isPin) : [];
}

function isPin(value: unknown): value is Pin {
  if (typeof value !== "object" || value === null) return false;
  const pin: Partial<Record<keyof Pin, unknown>> = value;
  return (
    typeof pin.address === "string" &&
    typeof pin.nodeKey === "string" &&
    /^[0-9a-f]{64}$/.test(pin.nodeKey) &&
    Number.isFinite(pin.since) &&
    Number.isFinite(pin.lastSeen)
  );
}
