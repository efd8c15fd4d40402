/** All known peers, found by id, virtual IP and node key. Bounded: whoever holds the PSK may claim many addresses. */
import type { PeerId } from "../engine.js";
import { newPeer, type Peer } from "./peer.js";
import type { Moment } from "./types.js";

const maxPeers = 2048;

export class PeerTable {
  readonly #byId = new Map<PeerId, Peer>();
  readonly #byAddress = new Map<string, Peer>();
  readonly #byKey = new Map<string, Peer>();
  #lastId = 0;

  all(): Iterable<Peer> {
    return this.#byId.values();
  }

  byId(id: PeerId): Peer | undefined {
    return this.#byId.get(id);
  }

  byAddress(address: string): Peer | undefined {
    return this.#byAddress.get(address);
  }

  byKey(nodeKey: string): Peer | undefined {
    return this.#byKey.get(nodeKey);
  }

  /** Undefined when the table is full. */
  add(virtualIp: string, at: Moment): Peer | undefined {
    if (this.#byId.size >= maxPeers) return undefined;
    this.#lastId += 1;
    const peer = newPeer(this.#lastId, virtualIp, at);
    this.#byId.set(peer.id, peer);
    this.#byAddress.set(virtualIp, peer);
    return peer;
  }

  /** Notes what a HELLO proved. Other peers must not hold these addresses any more. */
  identify(peer: Peer, nodeKey: string, virtualIps: readonly string[]): void {
    for (const address of peer.virtualIps) this.#byAddress.delete(address);
    if (peer.nodeKey !== undefined) this.#byKey.delete(peer.nodeKey);
    const onMap = peer.virtualIps.filter((address) => virtualIps.includes(address));
    peer.virtualIps = [...new Set([...onMap, ...virtualIps])];
    peer.nodeKey = nodeKey;
    for (const address of peer.virtualIps) this.#byAddress.set(address, peer);
    this.#byKey.set(nodeKey, peer);
  }

  delete(peer: Peer): void {
    this.#byId.delete(peer.id);
    for (const address of peer.virtualIps) {
      if (this.#byAddress.get(address) === peer) this.#byAddress.delete(address);
    }
    if (peer.nodeKey !== undefined) this.#byKey.delete(peer.nodeKey);
  }
}
