import type { CarrierEvent, Reason } from "../carrier.js";

export type StoryState = "up" | "connecting" | "error" | "down";

/** What was told of a network as a whole: tells when it becomes something else, and nothing twice. */
export class NetworkStory {
  #told: StoryState = "down";
  #code: string | undefined;

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
        return { type: "down", state, ...why, message: "no rendezvous server answers; tunnels go on" };
      case "down":
        return { type: "down", state, message: "network is down" };
    }
  }
}
