import { networkInterfaces } from "node:os";
import { canonicalAddress } from "../../../common/endpoint.js";
import { emptyAnswer, rcodes } from "../../core/names/query.js";
import { RateLimit } from "../../core/names/rate-limit.js";
import { respond, type Zone } from "../../core/names/respond.js";
import { fitted } from "../../core/names/upstream.js";
import { overlaps, parseCidr } from "../../core/network/cidr.js";
import type { Forwarder } from "../../io/names/forwarder.js";
import type { Question } from "../../io/names/sockets.js";

export const nameOutcomes = [
  "answered",
  "nodata",
  "nxdomain",
  "refused",
  "malformed",
  "forwarded",
  "failed",
  "limited",
  "stranger",
] as const;
/** What became of a question; `stranger`: it came from outside the network; `failed`: no server answered. */
export type NameOutcome = (typeof nameOutcomes)[number];

export interface ResponderParts {
  /** Of the network. */
  zone: () => Zone;
  /** Of all networks. */
  zones: () => Zone[];
  forwarder: Pick<Forwarder, "ask">;
  /** Servers to ask for this machine; empty: none. */
  through: () => readonly string[];
  /** Whether a peer may ask for everything. */
  serves: (source: string) => boolean;
  /** Servers to ask for such peers. */
  upstream: () => Promise<readonly string[]>;
  /** Milliseconds, not decreasing. */
  now: () => number;
}

const ownAddressesMs = 1000;
/** A page of the Web wants dozens of names at once. */
const perPeer = { perSecond: 200, burst: 400, askers: 1024 };
const perSelf = { perSecond: 2000, burst: 2000, askers: 1 };

/** Answers questions that came to a network's virtual IP, of this machine and of nodes in the network; nobody else. */
export class Responder {
  readonly counts = new Map<NameOutcome, number>(nameOutcomes.map((outcome) => [outcome, 0]));
  readonly #parts: ResponderParts;
  readonly #peers = new RateLimit(perPeer);
  readonly #self = new RateLimit(perSelf);
  #own: { addresses: ReadonlySet<string>; at: number } | undefined;

  constructor(parts: ResponderParts) {
    this.#parts = parts;
  }

  /** Whether this address is of this machine or in the network. */
  knows(source: string): boolean {
    return this.#isSelf(source) || this.#isInside(source);
  }

  /** Undefined: there is none to be sent. */
  answer(question: Question): Promise<Buffer | undefined> | Buffer | undefined {
    const { message, source } = question;
    const local = this.#isSelf(source);
    if (!local && !this.#isInside(source)) return this.#count("stranger", undefined);
    const allowed = local
      ? this.#self.take("", this.#parts.now())
      : this.#peers.take(source, this.#parts.now());
    if (!allowed) return this.#count("limited", undefined);
    const forwards = local ? this.#parts.through().length > 0 : this.#parts.serves(source);
    const zones = local ? this.#parts.zones() : [this.#parts.zone()];
    const verdict = respond(message, { local, forwards }, zones);
    switch (verdict.act) {
      case "drop":
        return this.#count("malformed", undefined);
      case "answer":
        return this.#count(verdict.outcome, verdict.message);
      case "forward":
        return this.#forward(question, local, verdict.query);
    }
  }

  async #forward(
    { message, source, overTcp }: Question,
    local: boolean,
    query: Parameters<typeof emptyAnswer>[0] & { udpBytes: number },
  ): Promise<Buffer> {
    const servers = local ? this.#parts.through() : await this.#parts.upstream();
    const answer = await this.#parts.forwarder.ask(message, servers, { asker: source, overTcp });
    if (answer === undefined) {
      return this.#count("failed", emptyAnswer(query, rcodes.servFail, { recursionAvailable: true }));
    }
    return this.#count("forwarded", overTcp ? answer : fitted(message, answer, query.udpBytes));
  }

  #count<T>(outcome: NameOutcome, result: T): T {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
    return result;
  }

  #isInside(source: string): boolean {
    const cidr = parseCidr(`${source}/${source.includes(":") ? 128 : 32}`);
    return cidr !== undefined && overlaps(cidr, this.#parts.zone().virtualIp);
  }

  /** The kernel takes no packets from outside whose source is an address of its own. */
  #isSelf(source: string): boolean {
    const now = this.#parts.now();
    if (this.#own === undefined || now - this.#own.at > ownAddressesMs) {
      const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
      this.#own = {
        addresses: new Set(all.map(({ address }) => canonicalAddress(address) ?? address)),
        at: now,
      };
    }
    return this.#own.addresses.has(source);
  }
}
