import { formatEndpoint, parseEndpoint } from "../../../common/endpoint.js";
import { VpnError } from "../../../common/errors.js";

const most = 64;

/**
 * The hosts of `--allow` in one form each, without repetitions.
 * @throws VpnError `usage`
 */
export function checkAllowed(asked: readonly string[]): string[] {
  if (asked.length > most) {
    throw new VpnError("usage", `${asked.length} hosts are too many to allow`, {
      hint: `at most ${most}; a whole subnet is let through by --allow-lan`,
    });
  }
  return [...new Set(asked.map(canonicalHost))];
}

function canonicalHost(text: string): string {
  const literal = parseEndpoint(text);
  if (literal !== undefined && literal.port !== 0) return formatEndpoint(literal.address, literal.port);
  const match = /^([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?):(\d{1,5})$/.exec(text);
  const [, name = "", digits] = match ?? [];
  const port = Number(digits);
  // "10.1" and the like are addresses to some and names to others.
  if (match === null || port < 1 || port > 65_535 || /^[0-9.]+$/.test(name)) {
    throw new VpnError("usage", `${JSON.stringify(text)} is no host with a port`, {
      hint: "write it as --allow HOST:PORT or --allow [IPV6]:PORT",
    });
  }
  return `${name.toLowerCase()}:${port}`;
}

/** Whether it is an address, which nobody has to look up. */
export const isLiteral = (endpoint: string): boolean => parseEndpoint(endpoint) !== undefined;
