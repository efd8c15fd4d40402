/** Checksums of IP, TCP and UDP (RFC 1071). Sums are of 16-bit words, not inverted; `fold` brings them to 16 bits. */

/** Of bytes; an odd last one counts as if a zero followed. */
export function sumBytes(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let sum = 0;
  const even = to - ((to - from) & 1);
  for (let at = from; at < even; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return even === to ? sum : sum + ((bytes[even] ?? 0) << 8);
}

/** @param sum less than 2^48 */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** What goes into the field. */
export function checksumOf(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** Of the pseudo-header of TCP and UDP (RFC 9293 section 3.1, RFC 8200 section 8.1). @param length of what is behind IP's headers */
export function pseudoSum(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): number {
  return sumBytes(source) + sumBytes(destination) + protocol + length;
}
