/** Addresses of rendezvous servers. */
import { lookup } from "node:dns/promises";
import { formatEndpoint, parseEndpoint } from "../../common/endpoint.js";
import type { Endpoint } from "../core/engine.js";

const defaultPort = 9944;

/**
 * Looks "HOST:PORT" up, IPv4 addresses first. Never rejects: a name without an address, or that cannot be looked up now, gives
 * an empty list.
 */
export async function resolveServer(name: string): Promise<Endpoint[]> {
  const literal = parseEndpoint(name);
  if (literal !== undefined) return [formatEndpoint(literal.address, literal.port)];
  const match = /^\[?([^\]]+?)\]?(?::([0-9]{1,5}))?$/.exec(name);
  if (match?.[1] === undefined) return [];
  const port = match[2] === undefined ? defaultPort : Number(match[2]);
  try {
    const found = await lookup(match[1], { all: true, verbatim: false });
    return found.map(({ address }) => formatEndpoint(address, port));
  } catch {
    return [];
  }
}
