/**
 * Announcements between vpnd peers: ours is said again until it is acknowledged, on each new session and after each change;
 * the newest of each peer is kept. Foreign peers neither get nor say any.
 */
import type { PeerId } from "../engine.js";
import { type Announcement, decodeMessage, encodeAck, encodeAnnouncement } from "../routes/announcement.js";
import type { Peer } from "./peer.js";
import type { PeerTable } from "./peer-table.js";
import type { Context } from "./types.js";

interface Telling {
  tries: number;
  nextAt: number;
}

interface Heard {
  /** Absent: of an earlier session, so that whatever comes next is newer. */
  sequence?: bigint;
  nodeKey: string | undefined;
  what: Announcement;
}

interface Budget {
  changes: number;
  at: number;
}

const firstRetryMs = 500;
const lastRetryMs = 60_000;
const silentMs = 5000;
const changesPerSecond = 1;
const changesBurst = 8;

export class Announcements {
  readonly #table: PeerTable;
  #sequence: bigint;
  #own: Announcement | undefined;
  /** Whom ours still has to be told. */
  readonly #telling = new Map<PeerId, Telling>();
  readonly #heard = new Map<PeerId, Heard>();
  readonly #budgets = new Map<PeerId, Budget>();

  /** @param wall milliseconds since 1970: sequences have to grow from one start to the next */
  constructor(table: PeerTable, wall: number) {
    this.#table = table;
    this.#sequence = BigInt(Math.max(0, Math.trunc(wall)));
  }

  /** From now on this is ours. Nothing is said to anybody before the first call. */
  set(own: Announcement, context: Context): void {
    if (this.#own !== undefined && JSON.stringify(this.#own) === JSON.stringify(own)) return;
    this.#own = own;
    this.#sequence += 1n;
    for (const peer of this.#table.all()) this.#tell(peer, context);
  }

  /** A peer has a new session. */
  onUp(id: PeerId, context: Context): void {
    const peer = this.#table.byId(id);
    if (peer === undefined) return;
    const heard = this.#heard.get(id);
    if (heard !== undefined) delete heard.sequence;
    this.#tell(peer, context);
  }

  /** What the peer announced; its node key is the same as then. */
  of(peer: Peer): Announcement | undefined {
    const heard = this.#heard.get(peer.id);
    return heard?.nodeKey === peer.nodeKey ? heard?.what : undefined;
  }

  onControl(id: PeerId, data: Uint8Array, context: Context): void {
    const peer = this.#table.byId(id);
    const message = decodeMessage(data);
    if (peer === undefined || !talksTo(peer) || message === undefined) return;
    if (message.kind === "ack") {
      if (message.sequence === this.#sequence) this.#telling.delete(id);
      return;
    }
    const heard = this.#heard.get(id);
    if (heard?.sequence === undefined || message.sequence > heard.sequence) {
      const { what, sequence } = message;
      const changed = JSON.stringify(heard?.what) !== JSON.stringify(what) || heard?.nodeKey !== peer.nodeKey;
      // Not acknowledged it comes again, so the last of many changes is not lost.
      if (changed && !this.#affords(id, context.at.now)) return;
      this.#heard.set(id, { sequence, nodeKey: peer.nodeKey, what });
      if (changed) context.emit({ type: "changed" });
    }
    context.emit({ type: "send-control", peer: id, data: encodeAck(message.sequence) });
  }

  step(context: Context): void {
    const { now } = context.at;
    for (const [id, telling] of [...this.#telling]) {
      const peer = this.#table.byId(id);
      if (peer === undefined || this.#own === undefined || !talksTo(peer)) {
        this.#telling.delete(id);
      } else if (now >= telling.nextAt) {
        if (peer.session.kind === "silent") {
          telling.nextAt = now + silentMs;
          continue;
        }
        const data = encodeAnnouncement(this.#sequence, this.#own);
        context.emit({ type: "send-control", peer: id, data });
        telling.nextAt = now + Math.min(lastRetryMs, firstRetryMs * 2 ** telling.tries);
        telling.tries += 1;
      }
    }
    for (const id of this.#heard.keys()) {
      if (this.#table.byId(id) !== undefined) continue;
      this.#heard.delete(id);
      this.#budgets.delete(id);
    }
  }

  /** Monotonic milliseconds. */
  wakeAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const { nextAt } of this.#telling.values()) at = Math.min(at, nextAt);
    return at;
  }

  #tell(peer: Peer, context: Context): void {
    if (this.#own !== undefined && talksTo(peer))
      this.#telling.set(peer.id, { tries: 0, nextAt: context.at.now });
    else this.#telling.delete(peer.id);
  }

  #affords(id: PeerId, now: number): boolean {
    const budget = this.#budgets.get(id) ?? { changes: changesBurst, at: now };
    const earned = ((now - budget.at) / 1000) * changesPerSecond;
    const changes = Math.min(changesBurst, budget.changes + earned);
    this.#budgets.set(id, { changes: changes < 1 ? changes : changes - 1, at: now });
    return changes >= 1;
  }
}

const talksTo = (peer: Peer): boolean => peer.session.kind !== "none" && !peer.session.foreign;
