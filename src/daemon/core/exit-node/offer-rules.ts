/** The nftables rules of an exit node; they are part of the table of a network's offers (../routes/offer-items.ts). */
import { parseCidr } from "../network/cidr.js";
import {
  accept,
  answers,
  chain,
  destination,
  destinationIn,
  drop,
  from,
  isFamily,
  leave,
  masquerade,
  notFrom,
  notTo,
  protocol,
  reject,
  source,
  sourceIn,
  to,
  toPort,
} from "../routes/nft.js";
import { innerAddress6, innerPrefix6, isInternet, notInternet } from "./addresses.js";
import type { ExitOffer } from "./offer.js";

type Rule = readonly object[];

/** An exit node that is in force. */
export interface ExitRules {
  offer: ExitOffer;
  /** Own address in the network, CIDR. */
  virtualIp: string;
  /** IPv6 is carried too. */
  six: boolean;
}

/** Forwarding, instead of dropping what is left: what comes from clients goes to the Internet only. */
export function exitForwarding(device: string, exit: ExitRules, lans: readonly string[]): Rule[] {
  const refuse = (condition: object): Rule => [from(device), condition, reject];
  return [
    refuse(to(device)),
    refuse(destinationIn(notInternet[4])),
    refuse(destinationIn(notInternet[6])),
    ...clients(device, exit).map((rule) => [...rule, accept]),
    [from(device), reject],
    // Who is on the way to the Internet gets at clients by answers only.
    [to(device), answers, accept],
    [to(device), ...(lans.length === 0 ? [] : [notFrom(lans)]), drop],
  ];
}

/** Addresses of clients become this machine's. @param offered subnets; those that are no Internet see clients as they are */
export function exitMasquerade(device: string, exit: ExitRules, offered: readonly string[]): Rule[] {
  const own = parseCidr(exit.virtualIp);
  const sources = [...(own === undefined ? [] : [own.prefix]), ...(exit.six ? [innerPrefix6] : [])];
  return sources.flatMap((prefix) => [
    ...offered
      .filter((subnet) => subnet.includes(":") === prefix.includes(":") && !isInternet(subnet))
      .map((subnet) => [source(prefix), destination(subnet), leave]),
    [source(prefix), notTo(device), masquerade],
  ]);
}

/** Keeps clients from the machine itself, but for its answers, pings, and name look-ups at its virtual IP. */
export function exitInput(table: string, device: string, exit: ExitRules): object[] {
  if (exit.offer.allowHost) return [];
  const address = parseCidr(exit.virtualIp)?.address ?? "";
  const names = [address, innerAddress6(address) ?? ""].filter((one) => one !== "");
  return chain(table, { name: "input", type: "filter", hook: "input", prio: 0 }, [
    [from(device), answers, accept],
    [from(device), protocol("icmp"), accept],
    [from(device), protocol("ipv6-icmp"), accept],
    ...names.flatMap((one) => {
      const host = destination(`${one}/${one.includes(":") ? 128 : 32}`);
      return [
        [from(device), host, toPort("udp", 53), accept],
        [from(device), host, toPort("tcp", 53), accept],
      ];
    }),
    ...clients(device, exit).map((rule) => [...rule, reject]),
  ]);
}

/** Matches what clients send, a rule for each family. */
function clients(device: string, { offer, virtualIp, six }: ExitRules): Rule[] {
  if (offer.to === undefined) {
    const four = !virtualIp.includes(":");
    const families = [...(four ? [4 as const] : []), ...(six || !four ? [6 as const] : [])];
    return families.map((family) => [from(device), isFamily(family)]);
  }
  const addresses = offer.to.map((client) => client.virtualIp);
  const inner = six ? addresses.flatMap((address) => innerAddress6(address) ?? []) : [];
  return [addresses, inner].filter((list) => list.length > 0).map((list) => [from(device), sourceIn(list)]);
}
