import { type Announcement, decodeMessage, encodeAnnouncement } from "../../core/routes/announcement.js";

interface Heard {
  nodeKey: string;
  what: Announcement;
}

/** What the other end may change of its announcement no more often than this, milliseconds. */
const heardMs = 1000;

/**
 * What the two ends of a link announce. TCP loses and reorders nothing, so each is said once for a connection and once for a
 * change. What was heard stays when the connection ends: packets for it must not go elsewhere meanwhile.
 */
export class LinkAnnouncements {
  readonly #onChange: () => void;
  #sequence = 0n;
  #own: Announcement | undefined;
  #heard: Heard | undefined;
  #waiting: { heard: Heard; timer: NodeJS.Timeout } | undefined;
  #changedAt = Number.NEGATIVE_INFINITY;

  /** @param onChange something else is announced by the other end */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** @returns false when it is what it was */
  set(own: Announcement): boolean {
    if (JSON.stringify(this.#own) === JSON.stringify(own)) return false;
    this.#own = own;
    return true;
  }

  /** To be sent to a vpnd that just connected, or after a change; undefined: there is nothing to say. */
  message(): Uint8Array | undefined {
    if (this.#own === undefined) return undefined;
    this.#sequence += 1n;
    return encodeAnnouncement(this.#sequence, this.#own);
  }

  /** A control message of the other end, which showed that it has this node key; what is no announcement is left out. */
  hear(nodeKey: string, data: Uint8Array): void {
    const message = decodeMessage(data);
    if (message?.kind !== "announce") return;
    const heard = { nodeKey, what: message.what };
    if (this.#waiting !== undefined) {
      this.#waiting.heard = heard;
      return;
    }
    const wait = this.#changedAt + heardMs - performance.now();
    if (wait <= 0) {
      this.#take(heard);
      return;
    }
    const timer = setTimeout(() => {
      const newest = this.#waiting?.heard;
      this.#waiting = undefined;
      if (newest !== undefined) this.#take(newest);
    }, wait);
    timer.unref();
    this.#waiting = { heard, timer };
  }

  get heard(): Heard | undefined {
    return this.#heard;
  }

  stop(): void {
    clearTimeout(this.#waiting?.timer);
    this.#waiting = undefined;
  }

  #take(heard: Heard): void {
    if (JSON.stringify(heard) === JSON.stringify(this.#heard)) return;
    this.#changedAt = performance.now();
    this.#heard = heard;
    this.#onChange();
  }
}
