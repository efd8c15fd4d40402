/** What a gateway tells a client, and the station that serves it. */
import type { GatewayHello } from "../../../common/gateway/hello.js";
import type { AddressPlan } from "../../core/gateway/addresses.js";
import type { GatewayOptions } from "../../core/gateway/options.js";
import { makeResumeToken, type Resumed } from "../../core/gateway/resume-token.js";
import type { GatewayUser } from "../../core/gateway/users.js";
import type { Client } from "./client.js";
import { keepAliveMs } from "./pace.js";
import type { Grant } from "./station-calls.js";

export interface GrantParts {
  options: GatewayOptions;
  plan: AddressPlan;
  resumeKey: Uint8Array;
  /** Prefixes of the network that clients get to; absent: none. */
  into?: readonly string[];
  /** IPv6 of clients gets anywhere. */
  six: boolean;
}

/** @param fd of its device; undefined: it has the shared one @param user undefined: it came without a token @param limit of its bytes */
export function makeGrant(
  parts: GrantParts,
  { id, slot, foreign }: Client,
  fd: number | undefined,
  user: GatewayUser | undefined,
  lease: Resumed,
  limit: number | undefined,
): Grant {
  const { options, plan, resumeKey } = parts;
  const { client, gateway } = plan.at(slot);
  const gateways = options.isolation === "shared" ? plan.whole : gateway;
  const hello: GatewayHello = {
    addresses: client,
    gateways: gateways.map((text) => text.slice(0, text.indexOf("/"))),
    mtu: options.mtu,
    dns: options.dns,
    routes: routesOf(parts, client),
    resume: makeResumeToken(resumeKey, user?.name ?? "", lease),
    keepAliveSeconds: keepAliveMs / 1000,
  };
  const rate = user?.rate;
  return {
    ...{ id, sources: client.map(hostPrefix), hello, foreign },
    ...(fd !== undefined && { fd }),
    ...(rate !== undefined && { rate }),
    ...(limit !== undefined && { limit }),
  };
}

/** "10.91.0.2/30" is the host 10.91.0.2/32. */
export const hostPrefix = (cidr: string): string =>
  `${cidr.slice(0, cidr.indexOf("/"))}/${cidr.includes(":") ? 128 : 32}`;

/** What a client with these addresses reaches. */
export function routesOf(
  {
    options,
    into = [],
    six,
  }: { options: Pick<GatewayOptions, "internet"> } & Pick<GrantParts, "into" | "six">,
  client: readonly string[],
): string[] {
  const carried = client.filter((text) => six || !text.includes(":"));
  const all = carried.map((text) => (text.includes(":") ? "::/0" : "0.0.0.0/0"));
  return [...(options.internet ? all : []), ...into];
}
