import { VpnError } from "../../common/errors.js";
import { parseDuration } from "../../common/format/duration.js";

const plainText = (input: string): string => input;

/** Positional NETWORK, which may be left out. */
export const networkArgument = {
  brief: "Network; may be left out when there is only one",
  placeholder: "NETWORK",
  parse: plainText,
  optional: true,
} as const;

export const peerArgument = {
  brief: "Name, name.network or virtual IP of a peer",
  placeholder: "PEER",
  parse: plainText,
} as const;

export const dryRunFlag = {
  kind: "boolean",
  brief: "Print the plan and change nothing",
  optional: true,
  withNegated: false,
} as const;

/** A boolean flag that is off unless given. */
export function off(brief: string): {
  readonly kind: "boolean";
  readonly brief: string;
  readonly optional: true;
  readonly withNegated: false;
} {
  return { kind: "boolean", brief, optional: true, withNegated: false };
}

/** An optional flag with a value. */
export function value<T>(
  placeholder: string,
  brief: string,
  parse: (input: string) => T,
): {
  readonly kind: "parsed";
  readonly placeholder: string;
  readonly brief: string;
  readonly parse: (input: string) => T;
  readonly optional: true;
} {
  return { kind: "parsed", placeholder, brief, parse, optional: true };
}

/** An optional flag whose value is taken as it is. */
export function text(placeholder: string, brief: string): ReturnType<typeof value<string>> {
  return value(placeholder, brief, plainText);
}

/** Seconds of a duration. @throws VpnError `usage` that names the flag */
export function duration(flag: string, input: string): number {
  const seconds = parseDuration(input);
  if (seconds !== undefined) return seconds;
  throw new VpnError("usage", `"${input}" is no duration`, { hint: `write it as ${flag} 7d, 12h or 30m` });
}

/** Seconds of a duration with a least value. */
export function interval(least: number): (input: string) => number {
  return (input) => {
    const seconds = parseDuration(input);
    if (seconds === undefined || seconds < least)
      throw new VpnError("usage", `"${input}" is no interval`, {
        hint: `a duration such as 2s or 500ms, at least ${least * 1000}ms`,
      });
    return seconds;
  };
}
