/**
 * Who gets in: carries out what admission.ts decides on a HELLO or a foreign handshake, and keeps the table of peers true.
 */
import type { Assoc } from "../engine.js";
import { type Foreign, type Hello, type HelloVerdict, hex, judgeForeign, judgeHello } from "./admission.js";
import type { Dialler } from "./dialler.js";
import type { OwnAddress } from "./own-address.js";
import { type Peer, prefixesOf, stateOf, virtualIpOf } from "./peer.js";
import type { PeerTable } from "./peer-table.js";
import { goneEvent, whoIs } from "./peer-teller.js";
import type { Pins } from "./pins.js";
import { ownRefusal } from "./problems.js";
import type { Context } from "./types.js";

const unmatchedMs = 30_000;
const maxUnmatched = 64;

export class Gatekeeper {
  readonly #table: PeerTable;
  readonly #dialler: Dialler;
  readonly #pins: Pins;
  readonly #own: OwnAddress;
  readonly #context: Context;
  /** Foreign handshakes that no map entry fitted yet: the map may be on its way. */
  readonly #unmatched = new Map<Assoc, { foreign: Foreign; until: number }>();

  constructor(table: PeerTable, dialler: Dialler, pins: Pins, own: OwnAddress, context: Context) {
    this.#table = table;
    this.#dialler = dialler;
    this.#pins = pins;
    this.#own = own;
    this.#context = context;
  }

  /** A new map may show who waits unmatched. */
  matchAgain(): void {
    for (const [assoc, { foreign, until }] of [...this.#unmatched]) {
      this.#unmatched.delete(assoc);
      if (this.#context.at.now < until) this.onForeign(foreign, until);
    }
  }

  forgetUnmatched(assoc: Assoc): void {
    this.#unmatched.delete(assoc);
  }

  onHello(hello: Hello): void {
    const { config, at } = this.#context;
    const refuse = (reason: Parameters<typeof ownRefusal>[1]) =>
      this.#context.emit({ type: "refuse", assoc: hello.assoc, reason });
    const selfCheck = hello.tag !== 0 && this.#own.isOurs(hello.tag);
    const dialled = hello.tag === 0 ? undefined : this.#dialler.peerOf(hello.tag);
    if (hello.tag !== 0 && !selfCheck && dialled === undefined) {
      refuse("excluded");
      return;
    }
    const there = hello.tag === 0 ? this.#exactlyAt(hello.endpoint) : undefined;
    const onMap = there && virtualIpOf(there);
    const verdict = judgeHello(hello, dialled, onMap, config, this.#pins, at.wall);
    switch (verdict.kind) {
      case "ourselves":
        if (selfCheck || this.#own.suspects(hello.endpoint)) this.#own.itIsUs(hello.endpoint);
        refuse("conflict");
        return;
      case "conflict": {
        refuse("conflict");
        const { name } = verdict.record;
        this.#own.heldBy(
          { endpoint: hello.endpoint, ...(name === undefined ? {} : { name }) },
          this.#context,
        );
        if (dialled !== undefined) dialled.problem = ownRefusal(dialled, "conflict", at.now);
        return;
      }
      case "refuse":
        this.#explainRefusal(hello, dialled ?? there, verdict);
        refuse(verdict.refusal);
        return;
      case "admit":
        break;
    }
    if (selfCheck) {
      // Whoever was at our old endpoint is someone else by now, with an address of its own.
      this.#own.failed(hello.tag, this.#context);
      refuse("unexpected-key");
      return;
    }
    if (this.#own.contested) {
      refuse("conflict");
      return;
    }
    const peer = this.#identify(verdict.nodeKey, verdict.record.virtualIps, dialled);
    if (peer === undefined) {
      this.#reportStranger(hello.endpoint, "excluded", "too many peers are known already");
      refuse("excluded");
      return;
    }
    if (verdict.record.sequence >= peer.sequence) {
      peer.sequence = verdict.record.sequence;
      if (verdict.record.name === undefined) delete peer.name;
      else peer.name = verdict.record.name;
    }
    if (dialled !== undefined && dialled !== peer) this.#dialler.end(dialled, this.#context, hello.tag);
    this.#admit(peer, hello);
    this.#pin(peer, verdict.nodeKey);
  }

  onForeign(foreign: Foreign, until = this.#context.at.now + unmatchedMs): void {
    const { config, at } = this.#context;
    const refuse = (reason: "pinned" | "conflict" | "excluded") =>
      this.#context.emit({ type: "refuse", assoc: foreign.assoc, reason });
    if (!config.badger) {
      refuse("excluded");
      return;
    }
    if (this.#own.isOurs(foreign.tag) || this.#own.suspects(foreign.endpoint)) {
      refuse("conflict");
      this.#own.heldBy({ endpoint: foreign.endpoint }, this.#context);
      return;
    }
    if (this.#own.contested) {
      refuse("conflict");
      return;
    }
    const dialled = foreign.tag === 0 ? undefined : this.#dialler.peerOf(foreign.tag);
    if (foreign.tag !== 0 && dialled === undefined) {
      refuse("excluded");
      return;
    }
    const verdict = judgeForeign(foreign, dialled, this.#table, this.#pins, at.wall);
    if (verdict.kind === "wait") {
      if (this.#unmatched.size < maxUnmatched) this.#unmatched.set(foreign.assoc, { foreign, until });
      return;
    }
    this.#unmatched.delete(foreign.assoc);
    if (verdict.kind === "refuse") {
      if (verdict.peer.session.kind === "none")
        verdict.peer.problem = ownRefusal(verdict.peer, "pinned", at.now);
      else {
        const detail = "a foreign node at an address that is pinned to a node key";
        this.#reportStranger(foreign.endpoint, "pinned", detail, verdict.peer);
      }
      refuse("pinned");
      return;
    }
    this.#admit(verdict.peer, foreign);
  }

  remove(peer: Peer, keepTagsOf?: Peer): void {
    if (keepTagsOf !== peer) this.#dialler.end(peer, this.#context);
    this.#context.emit({ type: "remove-peer", peer: peer.id });
    this.#context.emit({ type: "changed" });
    const event = goneEvent(peer, { code: "removed", message: "the peer was forgotten" });
    if (event !== undefined) this.#context.tell(event);
    this.#table.delete(peer);
  }

  add(address: string): Peer | undefined {
    const peer = this.#table.add(address, this.#context.at);
    if (peer === undefined) return undefined;
    this.#context.emit({ type: "changed" });
    return peer;
  }

  #admit(peer: Peer, { assoc, tag }: { assoc: number; tag: number }): void {
    if (tag !== 0) this.#dialler.admitted(peer, tag, this.#context);
    this.#context.emit({ type: "set-peer", peer: peer.id, prefixes: prefixesOf(peer) });
    this.#context.emit({ type: "admit", assoc, peer: peer.id });
  }

  /** The peer of a node key; it takes over the addresses that its record proves. */
  #identify(nodeKey: string, addresses: readonly string[], dialled: Peer | undefined): Peer | undefined {
    const known = this.#table.byKey(nodeKey);
    const holders = addresses
      .map((address) => this.#table.byAddress(address))
      .filter((one) => one !== undefined);
    const peer = known ?? dialled ?? holders[0] ?? this.add(addresses[0] ?? "");
    if (peer === undefined) return undefined;
    for (const holder of new Set(holders)) {
      if (holder === peer) continue;
      peer.listed = [...holder.listed, ...peer.listed];
      this.remove(holder, peer === dialled ? undefined : dialled);
    }
    this.#table.identify(peer, nodeKey, addresses);
    return peer;
  }

  #pin(peer: Peer, nodeKey: string): void {
    const { wall } = this.#context.at;
    let changed = false;
    for (const address of peer.virtualIps) changed = this.#pins.see(address, nodeKey, wall) || changed;
    if (changed) this.#context.emit({ type: "persist-pins", pins: this.#pins.list(wall) });
  }

  #explainRefusal(
    hello: Hello,
    peer: Peer | undefined,
    { refusal, detail, claims }: Extract<HelloVerdict, { kind: "refuse" }>,
  ): void {
    if (peer !== undefined && peer.session.kind === "none") {
      peer.problem = ownRefusal(peer, refusal, this.#context.at.now);
    } else {
      const claimed = claims === undefined ? undefined : this.#table.byAddress(claims);
      this.#reportStranger(hello.endpoint, refusal, detail, claimed ?? peer);
    }
    this.#context.emit({
      type: "log",
      level: "warn",
      message: `refused a session: ${detail}`,
      fields: { endpoint: hello.endpoint, nodeKey: hex(hello.nodeKey), refusal },
    });
  }

  /** @param peer whom it is about, and who need not have anything to do with it */
  #reportStranger(endpoint: string, code: string, detail: string, peer?: Peer): void {
    this.#context.report({
      type: "error",
      ...(peer !== undefined && { peer: whoIs(peer), state: stateOf(peer, this.#context.at.now) }),
      reason: { code, message: detail },
      endpoint,
      message: `refused a session with ${endpoint}: ${detail}`,
    });
  }

  #exactlyAt(endpoint: string): Peer | undefined {
    for (const peer of this.#table.all()) {
      if (peer.listed.some((entry) => entry.publicEndpoint === endpoint)) return peer;
    }
    return undefined;
  }
}
