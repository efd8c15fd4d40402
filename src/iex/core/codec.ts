/** What the registry needs of a rendezvous protocol. The Badger protocol is the first; iex/v1 comes beside it. */
import type { PrivateAddress } from "../../common/badger/fields.js";
import { decodeHeartbeat } from "../../common/badger/heartbeat.js";
import type { Decoded } from "../../common/badger/json.js";
import { encodeMapNode, encodeMapTail, joinMapNodes, mapSize, maxMapBytes } from "../../common/badger/map.js";

/** What a node says of itself. */
export interface Claim {
  /** Canonical. */
  virtualIp: string;
  privateIp?: PrivateAddress;
}

export interface RendezvousCodec {
  readonly name: string;
  /** Largest map that can be sent, bytes. */
  readonly maxMapBytes: number;
  /** Reads a claim from a stranger's datagram; never throws. */
  decodeClaim(data: Uint8Array): Decoded<Claim>;
  /** A node's part of the map. @param endpoint canonical @param port of the endpoint */
  encodeNode(claim: Claim, endpoint: string, port: number): Uint8Array;
  /** Bytes of a map of `count` >= 1 nodes whose parts have `nodeBytes` bytes together. */
  mapSize(count: number, nodeBytes: number): number;
  /** The part of a map that all receivers share, so that a map for n nodes is built and kept once and not n times. */
  joinNodes(parts: readonly Uint8Array[]): Uint8Array;
  /** What completes the map for the receiver at `index`. */
  encodeTail(index: number): Uint8Array;
}

export const badgerCodec: RendezvousCodec = {
  name: "badger",
  maxMapBytes,
  decodeClaim: decodeHeartbeat,
  encodeNode: (claim, endpoint, port) =>
    encodeMapNode({
      virtualIp: claim.virtualIp,
      publicIp: endpoint,
      // The paper's nodes read IP:PORT only, but its heartbeat sample has no port. Most NATs keep the port if they can.
      ...(claim.privateIp === undefined ? {} : { privateIp: { port, ...claim.privateIp } }),
    }),
  mapSize,
  joinNodes: joinMapNodes,
  encodeTail: encodeMapTail,
};
