/**
 * Is this node's virtual IP its own? The map may show it at another endpoint too: our own entry from before a restart, or
 * another node. Before this node is ready it dials such an endpoint: a HELLO with our node key is ourselves, one with
 * another key, a foreign peer, or an entry that stays for 35 s is a conflict. A node that is ready keeps running.
 *
 *     unsure --first map without suspects--> ready
 *     unsure --proof, or 35 s--> taken --a minute--> unsure
 */
import { VpnError } from "../../../common/errors.js";
import type { Endpoint, Tag } from "../engine.js";
import { type Context, punch } from "./types.js";

const proofMs = 35_000;
const redialMs = 3000;
const restMs = 60_000;
const maxSuspects = 4;

interface Suspect {
  endpoint: Endpoint;
  firstSeen: number;
  tag?: Tag;
  nextDialAt: number;
}

type Standing = { kind: "unsure"; confirmed: boolean } | { kind: "ready" } | { kind: "taken"; until: number };

export interface Holder {
  name?: string;
  endpoint: Endpoint;
}

export class OwnAddress {
  #standing: Standing = { kind: "unsure", confirmed: false };
  readonly #suspects = new Map<Endpoint, Suspect>();
  /** Endpoints proven to be this node. */
  readonly #self = new Set<Endpoint>();
  #error: VpnError | undefined;
  #announced = false;
  #note: string | undefined;

  get ready(): boolean {
    return this.#standing.kind === "ready";
  }

  /** The core rests: another node holds the address. */
  get taken(): boolean {
    return this.#standing.kind === "taken";
  }

  /** Sessions with others wait while it is open who this address belongs to. */
  get contested(): boolean {
    return this.#standing.kind === "taken" || (this.#standing.kind === "unsure" && this.#suspects.size > 0);
  }

  get error(): VpnError | undefined {
    return this.#error;
  }

  get note(): string | undefined {
    return this.#note;
  }

  /** A map arrived. @param elsewhere endpoints, not known as ours, at which it shows our virtual IP */
  onMap(confirmed: boolean, elsewhere: readonly Endpoint[], context: Context): void {
    const { now } = context.at;
    for (const [endpoint, suspect] of this.#suspects) {
      if (elsewhere.includes(endpoint)) continue;
      this.#suspects.delete(endpoint);
      if (suspect.tag !== undefined) context.emit({ type: "abort", tag: suspect.tag });
    }
    for (const endpoint of elsewhere) {
      if (this.#self.has(endpoint) || this.#suspects.has(endpoint)) continue;
      if (this.#suspects.size >= maxSuspects) break;
      this.#suspects.set(endpoint, { endpoint, firstSeen: now, nextDialAt: now });
    }
    // It opens our NAT for the other's handshake, also when this node is ready and the other one asks.
    for (const endpoint of this.#suspects.keys()) context.emit({ type: "send", to: endpoint, data: punch });
    if (this.#suspects.size === 0) this.#note = undefined;
    if (this.#standing.kind === "unsure" && confirmed) this.#standing.confirmed = true;
  }

  step(context: Context): void {
    const { now } = context.at;
    if (this.#standing.kind === "taken") {
      if (now >= this.#standing.until) this.#standing = { kind: "unsure", confirmed: false };
      return;
    }
    for (const suspect of this.#suspects.values()) {
      if (now - suspect.firstSeen >= proofMs) this.#held({ endpoint: suspect.endpoint }, context);
      else if (this.#standing.kind === "unsure" && suspect.tag === undefined && now >= suspect.nextDialAt) {
        suspect.tag = context.newTag();
        context.emit({ type: "connect", tag: suspect.tag, to: suspect.endpoint });
      }
    }
    if (this.#standing.kind === "unsure" && this.#standing.confirmed && this.#suspects.size === 0) {
      this.#standing = { kind: "ready" };
      this.#error = undefined;
      if (!this.#announced) context.emit({ type: "ready" });
      this.#announced = true;
      context.emit({ type: "changed" });
    }
  }

  wakeAt(): number {
    if (this.#standing.kind === "taken") return this.#standing.until;
    let at = Number.POSITIVE_INFINITY;
    for (const suspect of this.#suspects.values()) {
      if (this.#standing.kind === "unsure") {
        at = Math.min(at, suspect.firstSeen + proofMs);
        if (suspect.tag === undefined) at = Math.min(at, suspect.nextDialAt);
      } else if (this.#note === undefined) at = Math.min(at, suspect.firstSeen + proofMs);
    }
    return at;
  }

  isOurs(tag: Tag): boolean {
    return this.#byTag(tag) !== undefined;
  }

  suspects(endpoint: Endpoint): boolean {
    return this.#suspects.has(endpoint);
  }

  /** The node at this endpoint has our own node key: an old entry of ours. */
  itIsUs(endpoint: Endpoint): void {
    this.#self.add(endpoint);
    this.#suspects.delete(endpoint);
  }

  /** Another node proved that it uses our virtual IP. */
  heldBy(holder: Holder, context: Context): void {
    this.#held(holder, context);
  }

  failed(tag: Tag, context: Context): void {
    const suspect = this.#byTag(tag);
    if (suspect === undefined) return;
    delete suspect.tag;
    suspect.nextDialAt = context.at.now + redialMs;
  }

  #held(holder: Holder, context: Context): void {
    const { virtualIp } = context.config;
    const who = holder.name === undefined ? holder.endpoint : `"${holder.name}" at ${holder.endpoint}`;
    const message = `virtual IP ${virtualIp} is held by ${who}`;
    const fields = { virtualIp, endpoint: holder.endpoint };
    if (this.#standing.kind !== "unsure") {
      if (this.#note === message) return;
      this.#note = message;
      context.emit({ type: "log", level: "warn", message, fields });
      context.emit({ type: "changed" });
      const reason = { code: "conflict", message: "another node claims the virtual IP of this node" };
      context.report({ type: "error", reason, endpoint: holder.endpoint, message });
      return;
    }
    this.#standing = { kind: "taken", until: context.at.now + restMs };
    for (const { tag } of this.#suspects.values()) {
      if (tag !== undefined) context.emit({ type: "abort", tag });
    }
    this.#suspects.clear();
    this.#error = new VpnError("conflict", message, { hint: "choose another --vip", fields });
    context.emit({ type: "log", level: "warn", message, fields });
    context.emit({ type: "conflict", error: this.#error });
  }

  #byTag(tag: Tag): Suspect | undefined {
    for (const suspect of this.#suspects.values()) if (suspect.tag === tag) return suspect;
    return undefined;
  }
}
