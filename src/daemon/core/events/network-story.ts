import type { CarrierEvent, Reason } from "../carrier.js";

export type StoryState = "up" | "connecting" | "error" | "down";

/** What it means, by carrier, when nobody answers any more. */
export const lostTexts = {
  mesh: "no rendezvous server answers; tunnels go on",
  tcp: "the link is down",
  postgres: "the database cannot be used",
  gateway: "the gateway is gone",
} as const;

/** What was told of a network as a whole: tells when it becomes something else, and nothing twice. */
export class NetworkStory {
  #told: StoryState = "down";
  #code: string | undefined;
  readonly #lost: string;

  /** @param lost what it means when nobody answers any more */
  constructor(lost: string) {
    this.#lost = lost;
  }

  /** The event of this change, or undefined when it is no news. */
  became(state: StoryState, reason?: Reason): CarrierEvent | undefined {
    const was = this.#told;
    // Between "down" and "up" lies "connecting": news only when something got lost by it.
    if (state === "connecting" && was !== "up") return undefined;
    if (state === was && (state !== "error" || this.#code === reason?.code)) return undefined;
    this.#told = state;
    this.#code = reason?.code;
    const why = reason && { reason };
    switch (state) {
      case "up":
        return { type: "up", state, message: "network is up" };
      case "error":
        return { type: "error", state, ...why, message: "network does not work" };
      case "connecting":
        return { type: "down", state, ...why, message: this.#lost };
      case "down":
        return { type: "down", state, message: "network is down" };
    }
  }
}
