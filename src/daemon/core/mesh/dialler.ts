/**
 * Dialling a peer: one *attempt* tries its endpoints, the best first and the next a second later beside it, until one
 * handshake succeeds; a failed attempt waits, longer each time.
 */

import { backoffMs } from "../backoff.js";
import type { Endpoint, Tag } from "../engine.js";
import type { Dial, Peer, Target } from "./peer.js";
import type { Context } from "./types.js";

const dialBackoff = { firstMs: 500, maxMs: 30_000 };
const nextEndpointMs = 1000;
const maxBeside = 3;
const maxTargets = 4;
/** The engine ends handshakes by itself; this is for an event lost in its bounded queue. */
const dialLimitMs = 40_000;
/** Attempts of all peers at once. */
const maxDialling = 32;
const turnMs = 250;

export class Dialler {
  readonly #byTag = new Map<Tag, Peer>();

  /** The peer that a tag was used for. */
  peerOf(tag: Tag): Peer | undefined {
    return this.#byTag.get(tag);
  }

  dialOf(peer: Peer, tag: Tag): Dial | undefined {
    return peer.attempt.kind === "dialling" ? peer.attempt.running.get(tag) : undefined;
  }

  /** Starts or goes on with the attempt. @param wanted whether the peer should be dialled */
  step(peer: Peer, wanted: boolean, targets: (peer: Peer) => Endpoint[], context: Context): void {
    const { now } = context.at;
    const { attempt } = peer;
    if (attempt.kind === "dialling") {
      this.#advance(peer, context);
      return;
    }
    if (!wanted) {
      peer.attempt = { kind: "idle" };
      return;
    }
    if (attempt.kind === "waiting" && now < attempt.until) return;
    if (this.#byTag.size >= maxDialling) {
      // All that wait for their turn look again at the same moments, so that hundreds do not wake us one by one.
      peer.attempt = { kind: "waiting", until: (Math.floor(now / turnMs) + 1) * turnMs };
      return;
    }
    const queue: Target[] = targets(peer)
      .slice(0, maxTargets)
      .map((to) => ({ to }));
    if (queue.length === 0) return;
    peer.attempt = { kind: "dialling", running: new Map(), queue, nextAt: now };
    this.#advance(peer, context);
  }

  wakeAt(peer: Peer): number {
    const { attempt } = peer;
    if (attempt.kind === "waiting") return attempt.until;
    if (attempt.kind === "idle") return Number.POSITIVE_INFINITY;
    const another = attempt.queue.length > 0 && attempt.running.size < maxBeside;
    let at = another ? attempt.nextAt : Number.POSITIVE_INFINITY;
    for (const dial of attempt.running.values()) at = Math.min(at, dial.since + dialLimitMs);
    return at;
  }

  /** A handshake of this peer's attempt succeeded: the others would only replace it. */
  admitted(peer: Peer, tag: Tag, context: Context): void {
    if (peer.attempt.kind !== "dialling") return;
    peer.attempt.queue = [];
    for (const [other, dial] of peer.attempt.running) {
      if (other === tag) dial.admitted = true;
      else this.#drop(peer, other, context);
    }
  }

  failed(peer: Peer, tag: Tag, problem: Peer["problem"], context: Context): void {
    if (peer.attempt.kind !== "dialling" || !peer.attempt.running.delete(tag)) return;
    this.#byTag.delete(tag);
    // "Refused" and "wrong PSK" say more than that another endpoint of the peer was silent.
    if (problem !== undefined && (problem.refused || peer.problem?.refused !== true)) peer.problem = problem;
    peer.attempt.nextAt = context.at.now;
    this.#advance(peer, context);
  }

  /**
   * The other side says that it does not know the PSK: while a change of PSKs is under way it may know another one. The hint can
   * be forged, so the dial goes on beside.
   * @returns whether there is another PSK to try
   */
  tryOtherEpoch(peer: Peer, tag: Tag, context: Context): boolean {
    const { attempt } = peer;
    const hinted = this.dialOf(peer, tag);
    if (attempt.kind !== "dialling" || hinted === undefined) return false;
    const at = context.config.epochs.findIndex((epoch) => epoch.id === hinted.epoch);
    const next = context.config.epochs[at + 1];
    if (at < 0 || next === undefined) return false;
    const same = (dial: Target) => dial.to === hinted.to && dial.epoch === next.id;
    if (!attempt.queue.some(same) && ![...attempt.running.values()].some(same)) {
      attempt.queue.unshift({ to: hinted.to, epoch: next.id });
      attempt.nextAt = context.at.now;
      // The place of the hinted one, or it would have to wait for it.
      if (attempt.running.size >= maxBeside) this.#drop(peer, tag, context);
      this.#advance(peer, context);
    }
    return true;
  }

  /** Others of the peer's dials are under way beside this one. */
  hasOthers(peer: Peer, tag: Tag): boolean {
    const { attempt } = peer;
    if (attempt.kind !== "dialling") return false;
    return attempt.queue.length > 0 || attempt.running.size > (attempt.running.has(tag) ? 1 : 0);
  }

  /** Stops and forgets the attempt; `except` lives on. */
  end(peer: Peer, context: Context, except?: Tag): void {
    if (peer.attempt.kind === "dialling") {
      for (const tag of peer.attempt.running.keys()) {
        if (tag === except) this.#byTag.delete(tag);
        else this.#drop(peer, tag, context);
      }
    }
    peer.attempt = { kind: "idle" };
  }

  /** Waits as after a failure before the next attempt. */
  later(peer: Peer, context: Context): void {
    peer.failures += 1;
    const wait = backoffMs(dialBackoff, peer.failures, context.random());
    peer.attempt = { kind: "waiting", until: context.at.now + wait };
  }

  /** A new endpoint appeared: do not wait. */
  hurry(peer: Peer, context: Context): void {
    peer.failures = 0;
    if (peer.attempt.kind === "waiting") peer.attempt.until = context.at.now;
  }

  #advance(peer: Peer, context: Context): void {
    const { now } = context.at;
    const { attempt } = peer;
    if (attempt.kind !== "dialling") return;
    for (const [tag, dial] of attempt.running) {
      if (now - dial.since >= dialLimitMs) this.#drop(peer, tag, context);
    }
    while (attempt.queue.length > 0 && attempt.running.size < maxBeside && now >= attempt.nextAt) {
      const target = attempt.queue.shift();
      const epoch = target?.epoch ?? context.config.epochs[0]?.id;
      if (target === undefined || epoch === undefined) break;
      const { to } = target;
      const tag = context.newTag();
      attempt.running.set(tag, { to, epoch, since: now, admitted: false });
      attempt.nextAt = now + nextEndpointMs;
      this.#byTag.set(tag, peer);
      context.emit({ type: "connect", tag, to, epoch });
    }
    if (attempt.running.size > 0 || attempt.queue.length > 0) return;
    peer.failures += 1;
    if (peer.redial === "moved") delete peer.redial;
    peer.attempt = { kind: "waiting", until: now + backoffMs(dialBackoff, peer.failures, context.random()) };
  }

  #drop(peer: Peer, tag: Tag, context: Context): void {
    this.#byTag.delete(tag);
    if (peer.attempt.kind === "dialling") peer.attempt.running.delete(tag);
    context.emit({ type: "abort", tag });
  }
}
