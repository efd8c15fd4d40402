/** What the user decided about subnet routes of a network: what this node offers, and whose offers it takes. Pure, kept as JSON. */
import { VpnError } from "../../../common/errors.js";
import { type ExitOffer, offerWithout, readExitOffer } from "../exit-node/offer.js";
import { type Cidr, overlaps, parseCidr } from "../network/cidr.js";
import { maxAnnouncedRoutes } from "./announcement.js";
import { checkRoutePrefix, contains, readRoutePrefix } from "./prefix.js";

/** A subnet that this node carries packets to. */
export interface Offer {
  /** CIDR of the subnet as it is here. */
  prefix: string;
  /** CIDR of the same size by which peers know it; absent: as it is. */
  as?: string;
}

/** Whom a decision is about. The node key is what counts; the rest is for people. */
export type Whom = "all" | { nodeKey: string; virtualIp: string; name?: string };

export interface Decision {
  whom: Whom;
  /** CIDRs: offered prefixes inside them are meant; empty: all. */
  within: readonly string[];
}

export interface Routing {
  offers: readonly Offer[];
  /** In the order in which they were accepted: of two that carry one prefix the first that is up does. */
  accepts: readonly Decision[];
  /** Exceptions from `accepts`. */
  rejects: readonly Decision[];
  /** This node carries peers' traffic to the Internet; absent: it does not. */
  exit?: ExitOffer;
}

export const noRouting: Routing = { offers: [], accepts: [], rejects: [] };
const maxDecisions = 256;
const maxWithin = 64;

/** The prefix that peers are told. */
export const announcedPrefix = (offer: Offer): string => offer.as ?? offer.prefix;

/**
 * @param virtualIp own address as CIDR
 * @returns the same object when all of it is offered already
 * @throws VpnError `usage` or `conflict`
 */
export function withOffers(
  routing: Routing,
  prefixes: readonly string[],
  as: string,
  virtualIp: string,
): Routing {
  if (prefixes.length === 0)
    throw new VpnError("usage", "no subnet named", { hint: "such as 192.168.1.0/24" });
  if (as !== "" && prefixes.length > 1) {
    throw new VpnError("usage", "--as is for one subnet", { hint: "offer them one after the other" });
  }
  const wanted = prefixes.map((text) => makeOffer(checkRoutePrefix(text), as));
  const fresh = wanted.filter((offer) => !routing.offers.some((had) => sameOffer(had, offer)));
  if (fresh.length === 0) return routing;
  const offers = [...routing.offers];
  for (const offer of fresh) {
    checkFree(offer, offers, virtualIp);
    offers.push(offer);
  }
  if (offers.length > maxAnnouncedRoutes) {
    throw new VpnError("usage", `a node offers at most ${maxAnnouncedRoutes} subnets`, {
      hint: "offer a larger one that holds several",
    });
  }
  return { ...routing, offers };
}

/** @param prefixes as offered or as announced; empty: all. @throws VpnError `usage` or `not-found` */
export function withoutOffers(routing: Routing, prefixes: readonly string[]): Routing {
  const named = prefixes.map((text) => checkRoutePrefix(text).prefix);
  const known = (prefix: string) => (offer: Offer) => offer.prefix === prefix || offer.as === prefix;
  for (const prefix of named) {
    if (routing.offers.some(known(prefix))) continue;
    throw new VpnError("not-found", `${prefix} is not offered`, { hint: "see: vpnctl routes list" });
  }
  if (named.length === 0) return routing.offers.length === 0 ? routing : { ...routing, offers: [] };
  const offers = routing.offers.filter((offer) => !named.some((prefix) => known(prefix)(offer)));
  return { ...routing, offers };
}

/** @param within CIDRs; empty: all that it offers. @returns the same object when nothing changes */
export function withAccept(routing: Routing, whom: Whom, within: readonly string[]): Routing {
  const prefixes = within.map((text) => checkRoutePrefix(text).prefix);
  const rejects = withoutDecision(routing.rejects, whom, prefixes);
  const had = routing.accepts.find((one) => isSame(one.whom, whom));
  const next = had === undefined ? { whom, within: prefixes } : widened(had, prefixes);
  const accepts =
    had === undefined
      ? [...routing.accepts, next]
      : routing.accepts.map((one) => (one === had ? { ...next, whom } : one));
  return settled(routing, { ...routing, accepts, rejects });
}

/** Takes acceptance back; what another decision would still accept is made an exception. */
export function withReject(routing: Routing, whom: Whom, within: readonly string[]): Routing {
  const prefixes = within.map((text) => checkRoutePrefix(text).prefix);
  if (whom === "all" && prefixes.length === 0) {
    return settled(routing, { ...routing, accepts: [], rejects: [] });
  }
  const accepts = withoutDecision(routing.accepts, whom, prefixes);
  const left = accepts.some((one) => whom === "all" || one.whom === "all" || isSame(one.whom, whom));
  const rejects = withoutDecision(routing.rejects, whom, prefixes);
  const had = rejects.find((one) => isSame(one.whom, whom));
  if (!left) return settled(routing, { ...routing, accepts, rejects });
  const others = rejects.filter((one) => one !== had);
  const next = had === undefined ? { whom, within: prefixes } : widened(had, prefixes);
  return settled(routing, { ...routing, accepts, rejects: [...others, next] });
}

/** What was decided for a node key is forgotten with it. */
export function withoutPeer(routing: Routing, nodeKey: string): Routing {
  const others = (all: readonly Decision[]): Decision[] =>
    all.filter(({ whom }) => whom === "all" || whom.nodeKey !== nodeKey);
  const { exit: had, ...rest } = routing;
  const exit = had === undefined ? undefined : offerWithout(had, nodeKey);
  return settled(routing, {
    ...rest,
    accepts: others(routing.accepts),
    rejects: others(routing.rejects),
    ...(exit !== undefined && { exit }),
  });
}

/** Place of the decision by which a prefix of a peer is accepted, smaller ones first; undefined: it is not. */
export function acceptedAt(routing: Routing, nodeKey: string, prefix: Cidr): number | undefined {
  const holds = ({ within }: Decision): boolean =>
    within.length === 0 ||
    within.some((text) => {
      const outer = parseCidr(text);
      return outer !== undefined && contains(outer, prefix);
    });
  const itself = ({ whom }: Decision): boolean => whom !== "all" && whom.nodeKey === nodeKey;
  const everybody = ({ whom }: Decision): boolean => whom === "all";
  // What is said of one peer weighs more than what is said of all.
  for (const meant of [itself, everybody]) {
    if (routing.rejects.some((one) => meant(one) && holds(one))) return undefined;
    const at = routing.accepts.findIndex((one) => meant(one) && holds(one));
    if (at >= 0) return at;
  }
  return undefined;
}

/** As it is kept on disk. @throws Error for what is no routing */
export function readRouting(value: unknown): Routing {
  if (value === undefined) return noRouting;
  if (!isObject(value)) throw new Error("its routes are no object");
  const { offers, accepts, rejects } = value;
  const exit = readExitOffer(value.exit, readWhom);
  if (!Array.isArray(offers) || !Array.isArray(accepts) || !Array.isArray(rejects)) {
    throw new Error("its routes lack fields");
  }
  return {
    offers: offers.map(readOffer),
    accepts: accepts.map(readDecision),
    rejects: rejects.map(readDecision),
    ...(exit !== undefined && { exit }),
  };
}

/** The same with another exit offer, or without one; the same object when nothing changes. */
export function withExit(routing: Routing, exit: ExitOffer | undefined): Routing {
  const { exit: had, ...rest } = routing;
  if (JSON.stringify(had) === JSON.stringify(exit)) return routing;
  return exit === undefined ? rest : { ...rest, exit };
}

function makeOffer(prefix: Cidr, as: string): Offer {
  if (as === "" || as === prefix.prefix) return { prefix: prefix.prefix };
  const mapped = checkRoutePrefix(as);
  if (mapped.family !== prefix.family || mapped.length !== prefix.length) {
    throw new VpnError("usage", `${mapped.prefix} and ${prefix.prefix} differ in size`, {
      hint: `addresses are mapped one to one: give --as a /${prefix.length}`,
    });
  }
  if (overlaps(mapped, prefix)) {
    throw new VpnError("usage", `${mapped.prefix} overlaps ${prefix.prefix}`, {
      hint: "map it to another subnet",
    });
  }
  return { prefix: prefix.prefix, as: mapped.prefix };
}

function checkFree(offer: Offer, others: readonly Offer[], virtualIp: string): void {
  const announced = parseCidr(announcedPrefix(offer));
  const virtual = parseCidr(virtualIp);
  if (announced === undefined) return;
  if (virtual !== undefined && overlaps(announced, virtual)) {
    throw new VpnError("conflict", `${announced.prefix} overlaps the network's own ${virtual.prefix}`, {
      hint: "offer it under other addresses with --as",
    });
  }
  for (const other of others) {
    const clash = [announcedPrefix(other), other.prefix].find((text) => {
      const theirs = parseCidr(text);
      const own = text === other.prefix ? parseCidr(offer.prefix) : announced;
      return theirs !== undefined && own !== undefined && overlaps(own, theirs);
    });
    if (clash === undefined) continue;
    throw new VpnError("conflict", `${announcedPrefix(offer)} overlaps ${clash}, which is offered already`, {
      hint: `withdraw that first: vpnctl routes withdraw ${other.prefix}`,
    });
  }
}

const sameOffer = (a: Offer, b: Offer): boolean => a.prefix === b.prefix && a.as === b.as;

function isSame(a: Whom, b: Whom): boolean {
  return a === "all" || b === "all" ? a === b : a.nodeKey === b.nodeKey;
}

function widened(had: Decision, prefixes: readonly string[]): Decision {
  if (prefixes.length === 0 || had.within.length === 0) return { ...had, within: [] };
  return { ...had, within: [...new Set([...had.within, ...prefixes])] };
}

/** @param prefixes empty: all of it */
function withoutDecision(all: readonly Decision[], whom: Whom, prefixes: readonly string[]): Decision[] {
  return all.flatMap((one) => {
    if (!isSame(one.whom, whom)) return [one];
    if (prefixes.length === 0) return [];
    if (one.within.length === 0) return [one];
    const within = one.within.filter((prefix) => !prefixes.includes(prefix));
    return within.length === 0 ? [] : [{ ...one, within }];
  });
}

/** @throws VpnError when it has become too much to keep */
function settled(before: Routing, after: Routing): Routing {
  const all = [...after.accepts, ...after.rejects];
  if (all.length > maxDecisions || all.some((one) => one.within.length > maxWithin)) {
    throw new VpnError("failed", "too many decisions about routes", { hint: "vpnctl routes reject all" });
  }
  return JSON.stringify(before) === JSON.stringify(after) ? before : after;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function readOffer(value: unknown): Offer {
  if (!isObject(value)) throw new Error("an offered route is no object");
  const prefix = readPrefix(value.prefix);
  return value.as === undefined ? { prefix } : { prefix, as: readPrefix(value.as) };
}

function readDecision(value: unknown): Decision {
  if (!isObject(value) || !Array.isArray(value.within))
    throw new Error("a decision about routes lacks fields");
  return { whom: readWhom(value.whom), within: value.within.map(readPrefix) };
}

function readWhom(value: unknown): Whom {
  if (value === "all") return "all";
  if (!isObject(value) || typeof value.nodeKey !== "string" || typeof value.virtualIp !== "string") {
    throw new Error("a decision about routes names nobody");
  }
  const { nodeKey, virtualIp, name } = value;
  return { nodeKey, virtualIp, ...(typeof name === "string" && { name }) };
}

function readPrefix(value: unknown): string {
  if (typeof value === "string" && readRoutePrefix(value) !== undefined) return value;
  throw new Error("a route is no subnet");
}
