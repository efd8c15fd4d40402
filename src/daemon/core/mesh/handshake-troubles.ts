/** Handshakes that come to nothing: what that means for the peer, and what people are told. */
import type { Reason } from "../carrier.js";
import type { EngineEvent } from "../engine.js";
import { peersAt } from "./admission.js";
import type { Dialler } from "./dialler.js";
import { labelOf, type Peer, stateOf } from "./peer.js";
import type { PeerTable } from "./peer-table.js";
import { whoIs } from "./peer-teller.js";
import { problemOfFailure, wrongPsk } from "./problems.js";
import type { Context } from "./types.js";

type Failed = Extract<EngineEvent, { type: "failed" }>;
type WrongPsk = Extract<EngineEvent, { type: "wrong-psk" }>;

export class HandshakeTroubles {
  readonly #table: PeerTable;
  readonly #dialler: Dialler;
  readonly #context: Context;

  constructor(table: PeerTable, dialler: Dialler, context: Context) {
    this.#table = table;
    this.#dialler = dialler;
    this.#context = context;
  }

  onFailed(event: Failed): void {
    const peer = this.#dialler.peerOf(event.tag);
    if (event.reason === "signature") this.#logForged(event.endpoint, peer);
    if (peer === undefined) return;
    // It is about one PSK of several; the others are still being tried.
    const partly = event.reason === "wrong-psk" && this.#dialler.hasOthers(peer, event.tag);
    const problem = partly
      ? undefined
      : problemOfFailure(peer, event.reason, event.refusal, this.#context.at.now);
    if (problem?.refused === true && event.reason === "refused") {
      this.#reportBeside(peer, event.endpoint, problem.reason);
    }
    this.#dialler.failed(peer, event.tag, problem, this.#context);
  }

  onWrongPsk({ tag, endpoint }: WrongPsk): void {
    const dialled = tag === 0 ? undefined : this.#dialler.peerOf(tag);
    const there = tag === 0 ? peersAt(endpoint, this.#table) : [];
    const peer = dialled ?? (there.length === 1 ? there[0] : undefined);
    if (dialled !== undefined && this.#onOtherPsk(dialled, tag)) return;
    // A hint anybody can send: it never ends anything.
    const problem = wrongPsk(this.#context.at.now);
    if (peer === undefined) {
      const reason = { ...problem.reason, message: "somebody without the network's PSK wants a session" };
      const message = `${endpoint} tried a session with another PSK`;
      this.#context.report({ type: "error", reason, endpoint, message });
    } else if (peer.session.kind === "none") peer.problem = problem;
    else this.#reportBeside(peer, endpoint, problem.reason);
  }

  /** While a change of PSKs is under way a wrong one is nothing to complain about. Returns whether that is all. */
  #onOtherPsk(peer: Peer, tag: number): boolean {
    if (peer.session.kind === "live" && peer.redial === "epoch") {
      // Its session lives under a PSK that it knows; ask again later whether it has learned the new one.
      this.#context.emit({ type: "abort", tag });
      this.#dialler.failed(peer, tag, undefined, this.#context);
      return true;
    }
    return this.#dialler.tryOtherEpoch(peer, tag, this.#context);
  }

  /** Trouble with a peer whose session lives on, which its state does not show. */
  #reportBeside(peer: Peer, endpoint: string, reason: Reason): void {
    if (peer.session.kind === "none") return;
    this.#context.report({
      type: "error",
      peer: whoIs(peer),
      state: stateOf(peer, this.#context.at.now),
      reason,
      endpoint,
      message: `beside the session with ${labelOf(peer)}, at ${endpoint}: ${reason.message}`,
    });
  }

  #logForged(endpoint: string, dialled: Peer | undefined): void {
    // Without a session it becomes the dialled peer's state, and is told as that.
    if (dialled === undefined || dialled.session.kind !== "none") {
      const message = "the hello is not of its handshake; somebody may be in the middle";
      this.#context.report({
        type: "error",
        ...(dialled !== undefined && { peer: whoIs(dialled) }),
        reason: { code: "signature", message },
        endpoint,
        message: `refused a session with ${endpoint}: ${message}`,
      });
    }
    this.#context.emit({
      type: "log",
      level: "warn",
      message: "refused a session: the hello is not of this handshake; somebody may be in the middle",
      fields: { endpoint, refusal: "signature" },
    });
  }
}
