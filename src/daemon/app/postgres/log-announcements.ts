import type { SigningKey } from "../../core/keys/ed25519.js";
import { openAnnouncement, signAnnouncement } from "../../core/postgres/signed-announcement.js";
import {
  type Announcement,
  decodeMessage,
  encodeAck,
  encodeAnnouncement,
} from "../../core/routes/announcement.js";
import { LinkAnnouncements } from "../tcp/link-announcements.js";

/** A node that can be told something. */
export interface LogPeer {
  node: number;
  session: bigint;
}

/** Says something to a node by way of the database. */
export type Say = (node: number, message: Uint8Array) => void;

/**
 * What nodes announce to each other. A row may come too late to be read, so each announcement is said again, whenever it is looked who is
 * there, until it is acknowledged.
 */
export class LogAnnouncements {
  readonly #network: string;
  readonly #key: SigningKey;
  readonly #onChange: () => void;
  #sequence = 0n;
  #own: Announcement | undefined;
  /** By session of the peer: the newest that it has. */
  readonly #acknowledged = new Map<bigint, bigint>();
  readonly #heard = new Map<number, LinkAnnouncements>();

  /** @param network its name in the database @param onChange a peer announces something else */
  constructor(network: string, key: SigningKey, onChange: () => void) {
    this.#network = network;
    this.#key = key;
    this.#onChange = onChange;
  }

  get own(): Announcement | undefined {
    return this.#own;
  }

  /** @returns false when it is what it was */
  set(own: Announcement): boolean {
    if (JSON.stringify(this.#own) === JSON.stringify(own)) return false;
    this.#own = own;
    this.#sequence += 1n;
    return true;
  }

  /** @param session of this node */
  tell(session: bigint, peers: readonly LogPeer[], say: Say): void {
    for (const known of this.#acknowledged.keys()) {
      if (!peers.some((peer) => peer.session === known)) this.#acknowledged.delete(known);
    }
    if (this.#own === undefined) return;
    const late = peers.filter((peer) => this.#acknowledged.get(peer.session) !== this.#sequence);
    if (late.length === 0) return;
    const message = encodeAnnouncement(this.#sequence, this.#own);
    const bytes = signAnnouncement(this.#key, { network: this.#network, session }, message);
    for (const { node } of late) say(node, bytes);
  }

  /** What a peer has said, if it is one of these. */
  hear({ node, session }: LogPeer, data: Uint8Array, say: Say): void {
    const answer = decodeMessage(data);
    if (answer?.kind === "ack") {
      this.#acknowledged.set(session, answer.sequence);
      return;
    }
    const opened = openAnnouncement({ network: this.#network, session }, data);
    const message = opened === undefined ? undefined : decodeMessage(opened.message);
    if (opened === undefined || message === undefined) return;
    let heard = this.#heard.get(node);
    if (heard === undefined) {
      heard = new LinkAnnouncements(this.#onChange);
      this.#heard.set(node, heard);
    }
    heard.hear(opened.nodeKey, opened.message);
    say(node, encodeAck(message.sequence));
  }

  /** Who a node has shown to be, and what it announced last. */
  heardOf(node: number): { nodeKey: string; what: Announcement } | undefined {
    return this.#heard.get(node)?.heard;
  }

  nodeOf(nodeKey: string): number | undefined {
    for (const [node, { heard }] of this.#heard) if (heard?.nodeKey === nodeKey) return node;
    return undefined;
  }

  stop(): void {
    for (const heard of this.#heard.values()) heard.stop();
  }
}
