/**
 * Sizes of messages that hide what is in them: rounded up to a few, with messages between them that hold nothing (docs/gateway.md, "Hidden
 * sizes"). Zeros serve: nobody who could tell them from packets would need the sizes.
 */
import { randomInt } from "node:crypto";

/** A small packet, a packet of a usual MTU with what goes before it, and a batch that fits in one record of TLS; bytes. */
const sizes = [512, 1536, 16_000] as const;
const largest = sizes[2];

/** A padded message holds so much at most, unless one packet is larger, bytes. */
export const fullMessage = largest;

/** The size that so many bytes are rounded up to. */
export function paddedSize(bytes: number): number {
  return sizes.find((size) => bytes <= size) ?? Math.ceil(bytes / largest) * largest;
}

/** Of a message that holds nothing: one of the sizes that single packets have. */
export function noiseSize(): number {
  return sizes[randomInt(2)] ?? sizes[0];
}

/** When the next message that holds nothing goes out, milliseconds from now. */
export function noisePauseMs(): number {
  return randomInt(100, 1001);
}
