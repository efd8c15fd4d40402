import type { CarrierEvent, PeerState, PeerView, Reason } from "../carrier.js";
import { peerEvents } from "../events/peer-events.js";
import type { LinkHello } from "./hello.js";
import type { TcpOptions } from "./options.js";
import { otherOfTwo, sourceWithin, unknownAddress } from "./other-end.js";

/** Of a connection. */
export interface LinkPath {
  endpoint: string;
  cipher?: string;
  pskEpoch?: number;
}

export type Traffic = Pick<PeerView, "rxBytes" | "txBytes" | "rxPackets" | "txPackets">;

/** What is known of the other end. Times are milliseconds since 1970. */
export class LinkPeer {
  #tcp: TcpOptions;
  readonly #own: string;
  #virtualIp: string | undefined;
  #name: string | undefined;
  #path: LinkPath | undefined;
  #isVpnd = false;
  #nodeKey: string | undefined;
  /** Of the newest connection, living or not. */
  #endpoint: string | undefined;
  #reason: Reason | undefined;
  #since: number;
  #connectedAt: number | undefined;
  /** Its address is that of the living connection. */
  #sure: boolean;
  /** Somebody was there once. */
  #known: boolean;

  /** @param own own address in CIDR notation */
  constructor(tcp: TcpOptions, own: string, now: number) {
    this.#tcp = tcp;
    this.#own = own;
    this.#since = now;
    this.#virtualIp = otherOfTwo(own);
    this.#sure = this.#virtualIp !== undefined;
    this.#known = tcp.role === "connect" || this.#virtualIp !== undefined;
  }

  /** The link is to be found in another way from now on. */
  configure(tcp: TcpOptions): void {
    this.#tcp = tcp;
  }

  /** Its items should be looked at for its address. */
  get wantsAddress(): boolean {
    return !this.#sure;
  }

  /** Virtual IP of who is at the other end now; undefined: not known. */
  get address(): string | undefined {
    return this.#sure ? this.#virtualIp : undefined;
  }

  connected(path: LinkPath, now: number): CarrierEvent[] {
    return this.#change(() => {
      this.#path = path;
      this.#endpoint = path.endpoint;
      this.#isVpnd = false;
      this.#nodeKey = undefined;
      this.#name = undefined;
      this.#sure = otherOfTwo(this.#own) !== undefined;
      this.#known = true;
      this.#since = now;
      this.#connectedAt = now;
      this.#reason = undefined;
    });
  }

  /** It said who it is. */
  met(hello: LinkHello): CarrierEvent[] {
    return this.#change(() => {
      this.#isVpnd = true;
      this.#sure = true;
      this.#virtualIp = hello.virtualIp;
      this.#name = hello.name === "" ? undefined : hello.name;
    });
  }

  /** It showed that it has this node key, lower-case hex. */
  identified(nodeKey: string): void {
    this.#nodeKey = nodeKey;
  }

  /** Of the newest connection's other end, once it showed it; lower-case hex. */
  get nodeKey(): string | undefined {
    return this.#nodeKey;
  }

  /** Packets reach the node with this key now. */
  isUp(nodeKey: string): boolean {
    return this.#path !== undefined && this.#nodeKey === nodeKey;
  }

  /** How it is called. */
  get names(): { virtualIp: string; name?: string } {
    const { virtualIp, name } = this.#snapshot();
    return { virtualIp, ...(name !== undefined && { name }) };
  }

  /** Looks for its address in an item. */
  learn(item: Uint8Array): CarrierEvent[] {
    const source = sourceWithin(item, this.#tcp.tap, this.#own);
    return source === undefined
      ? []
      : this.#change(() => {
          this.#virtualIp = source;
          this.#sure = true;
        });
  }

  disconnected(reason: Reason, now: number): CarrierEvent[] {
    return this.#change(() => {
      if (this.#path !== undefined) this.#since = now;
      this.#path = undefined;
      this.#reason = reason;
    });
  }

  /** Undefined: nobody was there yet. */
  view(traffic: Traffic, mtu: number, rttSeconds: number | undefined): PeerView | undefined {
    if (!this.#known) return undefined;
    const { endpoint: _, ...session } = this.#path ?? { endpoint: undefined };
    return {
      ...this.#snapshot(),
      ...traffic,
      ...session,
      foreign: this.#path !== undefined && !this.#isVpnd,
      since: this.#since,
      endpoints: this.#endpoint === undefined ? [] : [this.#endpoint],
      ...(this.#nodeKey !== undefined && { nodeKey: this.#nodeKey }),
      ...(this.#path !== undefined && { mtu }),
      ...(this.#path !== undefined && rttSeconds !== undefined && { rttSeconds }),
      ...(this.#connectedAt !== undefined && { lastHandshake: this.#connectedAt }),
    };
  }

  #change(change: () => void): CarrierEvent[] {
    const before = this.#snapshot();
    change();
    return this.#known ? peerEvents(before, this.#snapshot()) : [];
  }

  #snapshot() {
    return {
      virtualIp: this.#virtualIp ?? unknownAddress,
      ...(this.#name !== undefined && { name: this.#name }),
      state: this.#state(),
      ...(this.#reason !== undefined && { reason: this.#reason }),
      path: this.#path === undefined ? ("none" as const) : ("tcp" as const),
      ...(this.#path !== undefined && { endpoint: this.#path.endpoint }),
    };
  }

  #state(): PeerState {
    if (this.#path !== undefined) return "up";
    if (this.#reason?.code === "wrong-psk") return "refused";
    return this.#tcp.role === "connect" ? "connecting" : "offline";
  }
}
