/** Careful reading of JSON datagrams from strangers. */

/** A message, or why there is none. `oversize` is told apart because it costs nothing to find out. */
export type Decoded<T> = { ok: true; value: T } | { ok: false; reason: "malformed" | "oversize" };

export const malformed = { ok: false, reason: "malformed" } as const;
export const oversize = { ok: false, reason: "oversize" } as const;

const openingBrace = 0x7b;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A JSON value is an object with unknown members. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object that the datagram holds. The first byte must be `{`: it tells this protocol from others on the same port. */
export function parseObject(data: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  if (data[0] !== openingBrace) return undefined;
  try {
    const value: unknown = JSON.parse(utf8.decode(data));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
