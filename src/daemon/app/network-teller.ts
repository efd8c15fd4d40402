import type { CarrierEvent, Reason } from "../core/carrier.js";
import { lostTexts, NetworkStory, type StoryState } from "../core/events/network-story.js";
import type { NetworkConfig } from "../core/network/config.js";

const storyStates = ["up", "connecting", "error"] as const;

/** Tells the events of a network and its carrier, each once. */
export class NetworkTeller {
  readonly #tell: (event: CarrierEvent) => void;
  readonly #story: NetworkStory;
  #fingerprint: string;

  /** @param fingerprint of its PSK, which is not told */
  constructor(carrier: NetworkConfig["carrier"], tell: (event: CarrierEvent) => void, fingerprint: string) {
    this.#story = new NetworkStory(lostTexts[carrier]);
    this.#tell = tell;
    this.#fingerprint = fingerprint;
  }

  /** Something happened to its carrier. */
  event(event: CarrierEvent): void {
    // What the network is as a whole is told in one place: its carrier is a part of that.
    const state = event.peer === undefined ? storyStates.find((one) => one === event.state) : undefined;
    if (state === undefined) this.#tell(event);
    else this.became(state, event.reason);
  }

  became(state: StoryState, reason?: Reason): void {
    const event = this.#story.became(state, reason);
    if (event !== undefined) this.#tell(event);
  }

  key(fingerprint: string, state: string): void {
    if (this.#fingerprint === fingerprint) return;
    this.#fingerprint = fingerprint;
    this.#tell({ type: "key", state, message: "the network's PSK changed" });
  }

  left(): void {
    const reason = { code: "left", message: "the network was left" };
    this.#tell({ type: "down", state: "left", reason, message: "network left" });
  }
}
