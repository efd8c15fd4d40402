import type { PeerView, Reason } from "../carrier.js";
import type { NetworkEvent } from "./event.js";

/** What an event can be about, of one network at one moment. */
export interface NetworkSnapshot {
  name: string;
  state: string;
  reason?: Reason;
  /** Fingerprint of the PSK; compared, never told. */
  fingerprint: string;
  peers: readonly PeerSnapshot[];
}

export type PeerSnapshot = Pick<
  PeerView,
  "virtualIp" | "name" | "state" | "reason" | "path" | "endpoint" | "nodeKey" | "cipher"
>;

type Draft = Omit<NetworkEvent, "network" | "at">;

/** Makes events of the differences between one look at the networks and the next. */
export class EventTracker {
  #last = new Map<string, NetworkSnapshot>();

  /** @param at milliseconds since 1970 */
  compare(networks: readonly NetworkSnapshot[], at: number): NetworkEvent[] {
    const events: NetworkEvent[] = [];
    const now = new Map(networks.map((network) => [network.name, network]));
    for (const name of new Set([...this.#last.keys(), ...now.keys()])) {
      for (const draft of networkEvents(this.#last.get(name), now.get(name))) {
        events.push({ at, network: name, ...draft });
      }
    }
    this.#last = now;
    return events;
  }
}

function networkEvents(before: NetworkSnapshot | undefined, now: NetworkSnapshot | undefined): Draft[] {
  if (now === undefined) {
    const reason = { code: "left", message: "the network was left" };
    return [{ type: "down", state: "left", reason, message: "network left" }];
  }
  const events: Draft[] = [];
  if (before !== undefined && before.fingerprint !== now.fingerprint) {
    events.push({ type: "key", state: now.state, message: "the network's PSK changed" });
  }
  const was = before?.state ?? "down";
  const why = now.reason && { reason: now.reason };
  if (was !== now.state || (now.state === "error" && before?.reason?.code !== now.reason?.code)) {
    const { state } = now;
    if (state === "up") events.push({ type: "up", state, message: "network is up" });
    else if (state === "error")
      events.push({ type: "error", state, ...why, message: "network does not work" });
    // Between "down" and "up" lies "connecting": news only when something got lost by it.
    else if (state === "down") events.push({ type: "down", state, message: "network is down" });
    else if (was === "up")
      events.push({ type: "down", state, ...why, message: "no rendezvous server answers; tunnels go on" });
  }
  return [...events, ...peersEvents(before?.peers ?? [], now)];
}

function peersEvents(before: readonly PeerSnapshot[], now: NetworkSnapshot): Draft[] {
  const known = new Map(before.map((peer) => [peer.virtualIp, peer]));
  const events: Draft[] = [];
  for (const peer of now.peers) {
    events.push(...peerEvents(known.get(peer.virtualIp), peer));
    known.delete(peer.virtualIp);
  }
  for (const peer of known.values()) {
    if (peer.state !== "up") continue;
    const stopped = now.state === "down" || now.state === "error";
    const reason = stopped
      ? { code: "network-down", message: "the network was stopped" }
      : { code: "removed", message: "the peer was forgotten" };
    events.push({
      type: "down",
      peer: whoOf(peer),
      state: "offline",
      reason,
      message: `${label(peer)} is gone`,
    });
  }
  return events;
}

function peerEvents(before: PeerSnapshot | undefined, now: PeerSnapshot): Draft[] {
  const events: Draft[] = [];
  const { state, path, endpoint } = now;
  const rest = { peer: whoOf(now), state, ...(now.reason && { reason: now.reason }) };
  const where = { path, ...(endpoint === undefined ? {} : { endpoint }) };
  if (before?.nodeKey !== undefined && now.nodeKey !== undefined && before.nodeKey !== now.nodeKey) {
    events.push({ ...rest, type: "key", message: `${label(now)} has another node key` });
  }
  if (state === "up") {
    if (before?.state !== "up") {
      events.push({ ...rest, ...where, type: "up", message: `${label(now)} is up (${path})` });
    } else if (before.path !== path || before.endpoint !== endpoint) {
      const from = before.path === path ? (before.endpoint ?? "?") : before.path;
      const to = before.path === path ? (endpoint ?? "?") : path;
      events.push({ ...rest, ...where, type: "path", message: `${label(now)}: path ${from} -> ${to}` });
    }
    return events;
  }
  const why = now.reason === undefined ? "" : `: ${now.reason.message}`;
  if (before?.state === "up" || (before !== undefined && before.state !== state && state === "offline")) {
    events.push({ ...rest, type: "down", message: `${label(now)} is ${state}${why}` });
  } else if (now.reason !== undefined && isTrouble(now) && before?.reason?.code !== now.reason.code) {
    events.push({ ...rest, type: "error", message: `${label(now)} is ${state}${why}` });
  }
  return events;
}

/** A peer that is away is no trouble; one that is there and can't be reached is. */
function isTrouble({ state }: PeerSnapshot): boolean {
  return state === "refused" || state === "connecting";
}

function whoOf({ virtualIp, name }: PeerSnapshot): { virtualIp: string; name?: string } {
  return name === undefined ? { virtualIp } : { virtualIp, name };
}

function label({ virtualIp, name }: PeerSnapshot): string {
  return name === undefined ? virtualIp : `${name} (${virtualIp})`;
}
