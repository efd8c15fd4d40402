/** Names of addresses in reverse (RFC 1035 section 3.5, RFC 3596 section 2.5), also of parts of them. */
import type { Cidr } from "../network/cidr.js";

/** The most zones that one prefix is worth: a length between two labels needs one for each value of the next label. */
const mostZones = 16;

/** Digits of an address from the left: bytes of IPv4, nibbles of IPv6. */
export interface ReverseName {
  family: 4 | 6;
  digits: number[];
}

/** @param name lower case, without the dot at the end; undefined: it is no reverse name, or says too much for one */
export function parseReverse(name: string): ReverseName | undefined {
  const labels = name.split(".").reverse();
  const [arpa, kind, ...rest] = labels;
  if (arpa !== "arpa") return undefined;
  if (kind === "in-addr" && rest.length <= 4 && rest.every(isByte)) {
    return { family: 4, digits: rest.map(Number) };
  }
  if (kind === "ip6" && rest.length <= 32 && rest.every((label) => /^[0-9a-f]$/.test(label))) {
    return { family: 6, digits: rest.map((label) => Number.parseInt(label, 16)) };
  }
  return undefined;
}

const isByte = (label: string): boolean => /^(0|[1-9]\d{0,2})$/.test(label) && Number(label) <= 255;

/** Whether all addresses below the name are in the prefix. */
export function isWithin({ family, digits }: ReverseName, prefix: Cidr): boolean {
  if (family !== prefix.family) return false;
  const width = widthOf(family);
  if (digits.length * width < prefix.length) return false;
  const given = bits(digits, width);
  return given.slice(0, prefix.length) === bits(prefix.bytes, 8).slice(0, prefix.length);
}

/** The address in text that the name is of; undefined: it is of more than one. Not canonical for IPv6. */
export function addressOf({ family, digits }: ReverseName): string | undefined {
  if (family === 4) return digits.length === 4 ? digits.join(".") : undefined;
  if (digits.length !== 32) return undefined;
  const hex = digits.map((digit) => digit.toString(16)).join("");
  return hex.replace(/.{4}(?!$)/g, "$&:");
}

/** The shortest name above this one that is still in the prefix. */
export function zoneOf({ family, digits }: ReverseName, prefix: Cidr): string {
  return reverseName(family, digits.slice(0, Math.ceil(prefix.length / widthOf(family))));
}

/** The names below which the prefix's addresses are; none when that would be too many. */
export function reverseZones(prefix: Cidr): string[] {
  const width = widthOf(prefix.family);
  const whole = Math.floor(prefix.length / width);
  const digits = digitsOf(prefix);
  const rest = prefix.length % width;
  if (rest === 0) return [reverseName(prefix.family, digits.slice(0, whole))];
  const count = 1 << (width - rest);
  if (count > mostZones) return [];
  const first = (digits[whole] ?? 0) & ~(count - 1);
  return Array.from({ length: count }, (_, index) =>
    reverseName(prefix.family, [...digits.slice(0, whole), first + index]),
  );
}

const widthOf = (family: 4 | 6): number => (family === 4 ? 8 : 4);

function digitsOf({ family, bytes }: Cidr): number[] {
  return family === 4 ? [...bytes] : bytes.flatMap((byte) => [byte >> 4, byte & 15]);
}

function reverseName(family: 4 | 6, digits: readonly number[]): string {
  const labels = digits.map((digit) => digit.toString(family === 4 ? 10 : 16)).reverse();
  return [...labels, family === 4 ? "in-addr" : "ip6", "arpa"].join(".");
}

function bits(digits: readonly number[], width: number): string {
  return digits.map((digit) => digit.toString(2).padStart(width, "0")).join("");
}
