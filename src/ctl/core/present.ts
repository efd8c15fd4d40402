import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { formatDuration } from "../../common/format/duration.js";

/** Milliseconds since 1970. */
export function timestampMs(time: Timestamp): number {
  return Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6);
}

/** RFC 3339, or undefined for an absent time. */
export function rfc3339(time: Timestamp | undefined): string | undefined {
  return time === undefined ? undefined : new Date(timestampMs(time)).toISOString();
}

/** "1m 3s ago", or undefined for an absent time. */
export function ago(time: Timestamp | undefined, now: Date): string | undefined {
  if (time === undefined) return undefined;
  return `${formatDuration((now.getTime() - timestampMs(time)) / 1000)} ago`;
}

/** The same text, or undefined when it is empty. */
export function filled(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** What a JSON document holds; undefined members vanish. */
export type Json = string | number | boolean | undefined | readonly Json[] | { readonly [key: string]: Json };

/** One compact line; absent values are left out. */
export function jsonLine(document: { readonly schema: string; readonly [key: string]: Json }): string {
  return `${JSON.stringify(document)}\n`;
}

/** An address without its prefix length. */
export function bareAddress(address: string): string {
  return address.replace(/\/.*/s, "");
}
