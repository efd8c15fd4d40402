/** The gateway as its client's only peer. Times are milliseconds since 1970. */
import type { CarrierEvent, PeerState, PeerView, Reason } from "../carrier.js";
import { peerEvents } from "../events/peer-events.js";
import { unknownAddress } from "../tcp/other-end.js";

export type Traffic = Pick<PeerView, "rxBytes" | "txBytes" | "rxPackets" | "txPackets">;

export class GatewayPeer {
  #virtualIp = unknownAddress;
  #endpoint: string | undefined;
  #cipher: string | undefined;
  #reason: Reason | undefined;
  #since: number;
  #connectedAt: number | undefined;

  constructor(now: number) {
    this.#since = now;
  }

  get state(): PeerState {
    if (this.#endpoint !== undefined) return "up";
    const code = this.#reason?.code;
    return code === "wrong-token" || code === "quota" ? "refused" : "connecting";
  }

  connected(
    { virtualIp, endpoint, cipher }: { virtualIp: string; endpoint: string; cipher?: string },
    now: number,
  ): CarrierEvent[] {
    return this.#change(() => {
      this.#virtualIp = virtualIp;
      this.#endpoint = endpoint;
      this.#cipher = cipher;
      this.#reason = undefined;
      this.#since = now;
      this.#connectedAt = now;
    });
  }

  disconnected(reason: Reason, now: number): CarrierEvent[] {
    return this.#change(() => {
      if (this.#endpoint !== undefined) this.#since = now;
      this.#endpoint = undefined;
      this.#reason = reason;
    });
  }

  get virtualIp(): string {
    return this.#virtualIp;
  }

  /** @param endpoints under which it is known, connected or not */
  view(
    traffic: Traffic,
    mtu: number,
    rttSeconds: number | undefined,
    endpoints: readonly string[],
  ): PeerView {
    const endpoint = this.#endpoint;
    return {
      ...this.#snapshot(),
      ...traffic,
      foreign: false,
      since: this.#since,
      endpoints: [...new Set([...(endpoint === undefined ? [] : [endpoint]), ...endpoints])],
      ...(endpoint !== undefined && { mtu }),
      ...(endpoint !== undefined && this.#cipher !== undefined && { cipher: this.#cipher }),
      ...(endpoint !== undefined && rttSeconds !== undefined && { rttSeconds }),
      ...(this.#connectedAt !== undefined && { lastHandshake: this.#connectedAt }),
    };
  }

  #change(change: () => void): CarrierEvent[] {
    const before = this.#snapshot();
    change();
    return peerEvents(before, this.#snapshot());
  }

  #snapshot() {
    return {
      virtualIp: this.#virtualIp,
      name: "gateway",
      state: this.state,
      ...(this.#reason !== undefined && { reason: this.#reason }),
      path: this.#endpoint === undefined ? ("none" as const) : ("gateway" as const),
      ...(this.#endpoint !== undefined && { endpoint: this.#endpoint }),
    };
  }
}
