import { VpnError } from "../../../common/errors.js";
import { parseCidr } from "../network/cidr.js";
import type { PeerNames } from "../network/find-peer.js";

/**
 * Whom a rule is for. A name stands for whoever bears it when the rule meets him first, and for nobody else later: the name is the
 * peer's own word, its virtual IP is pinned.
 */
export interface RulePeer {
  /** As it was named; absent: by its virtual IP. */
  name?: string;
  /** Canonical; absent: nobody of that name is known yet. */
  virtualIp?: string;
}

const nameForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads PEER: a name, "name.network" or a virtual IP. A name that nobody bears yet waits.
 * @throws VpnError `usage`, or `ambiguous` with the candidates
 */
export function parseRulePeer(text: string, network: string, known: readonly PeerNames[]): RulePeer {
  const virtualIp = parseCidr(`${text}/${text.includes(":") ? 128 : 32}`)?.address;
  if (virtualIp !== undefined) return { virtualIp };
  const name = text.toLowerCase().replace(new RegExp(`\\.${network}$`), "");
  if (!nameForm.test(name)) {
    throw new VpnError("usage", `${JSON.stringify(text.slice(0, 100))} is no peer of ${network}`, {
      hint: "name it as in: vpnctl peers; or give its virtual IP",
    });
  }
  const found = bearers(name, known);
  if (found.length > 1) {
    throw new VpnError("ambiguous", `${name} is not one peer`, {
      hint: `it may be ${found.join(", ")}`,
    });
  }
  return bind({ name }, known);
}

/** The same peer, with its virtual IP if it is known by now. */
export function bind(peer: RulePeer, known: readonly PeerNames[]): RulePeer {
  if (peer.virtualIp !== undefined || peer.name === undefined) return peer;
  const [virtualIp, ...more] = bearers(peer.name, known);
  return virtualIp === undefined || more.length > 0 ? peer : { ...peer, virtualIp };
}

function bearers(name: string, known: readonly PeerNames[]): string[] {
  return [...new Set(known.filter((one) => one.name?.toLowerCase() === name).map((one) => one.virtualIp))];
}

export const samePeer = (a: RulePeer, b: RulePeer): boolean =>
  a.virtualIp === undefined ? b.virtualIp === undefined && a.name === b.name : a.virtualIp === b.virtualIp;

export function rulePeerText({ name, virtualIp }: RulePeer): string {
  if (name === undefined) return virtualIp ?? "";
  return virtualIp === undefined ? name : `${name} (${virtualIp})`;
}
