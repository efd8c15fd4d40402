/**
 * The Badger protocol's map: what the server tells every node,
 * `{"Nodes":[{"VirtualIP":"10.0.0.10","PrivateIP":"192.168.10.100:3000","PublicIP":"192.0.2.1:4400"}],"MyIndex":0}`.
 */
import {
  type PrivateAddress,
  readPrivateAddress,
  readPublicEndpoint,
  readVirtualIp,
  writePrivateAddress,
} from "./fields.js";
import { type Decoded, isObject, malformed, oversize, parseObject } from "./json.js";

export interface MapNode {
  /** Canonical. */
  virtualIp: string;
  privateIp?: PrivateAddress;
  /** Canonical endpoint, as the server saw it. */
  publicIp: string;
}

export interface NetworkMap {
  /** In the server's order; iexd puts the newest registration first. */
  nodes: MapNode[];
  /** The receiver's place in `nodes`; absent if the server's index was unusable. */
  myIndex?: number;
}

/** Largest payload of a UDP datagram over IPv4, bytes; a map is one datagram. */
export const maxMapBytes = 65_507;

/** More nodes than the shortest entries could fit into one datagram are not read. */
const maxMapNodes = 2000;

const mapHead = Buffer.from('{"Nodes":[');
const comma = Buffer.from(",");

/** One node's part of the map. */
export function encodeMapNode(node: MapNode): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      VirtualIP: node.virtualIp,
      PrivateIP: writePrivateAddress(node.privateIp),
      PublicIP: node.publicIp,
    }),
  );
}

/** The part of a map that is the same for every receiver, from encoded nodes; `encodeMapTail` completes it. */
export function joinMapNodes(encoded: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([
    mapHead,
    ...encoded.flatMap((node, index) => (index === 0 ? [node] : [comma, node])),
  ]);
}

export function encodeMapTail(myIndex: number): Uint8Array {
  return Buffer.from(`],"MyIndex":${myIndex}}`);
}

/** Bytes of a whole map of `count` nodes (at least one) whose encoded forms have `nodeBytes` bytes together. */
export function mapSize(count: number, nodeBytes: number): number {
  return mapHead.length + nodeBytes + (count - 1) + encodeMapTail(count - 1).length;
}

/** A whole map. */
export function encodeMap(nodes: readonly MapNode[], myIndex: number): Uint8Array {
  return Buffer.concat([joinMapNodes(nodes.map(encodeMapNode)), encodeMapTail(myIndex)]);
}

/**
 * Reads a map. A node that makes no sense is left out, since one liar must not hide the others; unknown members are
 * ignored; never throws.
 */
export function decodeMap(data: Uint8Array): Decoded<NetworkMap> {
  if (data.length > maxMapBytes) return oversize;
  const object = parseObject(data);
  const list = object?.Nodes;
  if (object === undefined || !Array.isArray(list) || list.length > maxMapNodes) return malformed;
  const nodes: MapNode[] = [];
  let myIndex: number | undefined;
  for (const [index, value] of list.entries()) {
    const node = readNode(value);
    if (node === undefined) continue;
    if (index === object.MyIndex) myIndex = nodes.length;
    nodes.push(node);
  }
  return { ok: true, value: myIndex === undefined ? { nodes } : { nodes, myIndex } };
}

function readNode(value: unknown): MapNode | undefined {
  if (!isObject(value)) return undefined;
  const virtualIp = readVirtualIp(value);
  const publicIp = readPublicEndpoint(value.PublicIP);
  if (virtualIp === undefined || publicIp === undefined) return undefined;
  // The private address is only a hint for nodes behind the same NAT: without it the node is still reachable.
  const privateIp = readPrivateAddress(value.PrivateIP) ?? undefined;
  return privateIp === undefined ? { virtualIp, publicIp } : { virtualIp, publicIp, privateIp };
}
