/**
 * Signed node records: what a node says about itself (proto/iex/v1/node_record.proto, docs/wire.md "Node record").
 * A record is signed by the node key; its contents are sealed to the holders of the PSK.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import ipaddr from "ipaddr.js";
import { canonicalAddress } from "../../../common/endpoint.js";
import {
  NodeRecordBodySchema,
  type NodeRecordContents,
  NodeRecordContentsSchema,
  type Prefix,
  SignedNodeRecordSchema,
} from "../../../common/gen/iex/v1/node_record_pb.js";
import { type SigningKey, verifySignature } from "./ed25519.js";

/** Largest serialized record, bytes. */
export const maxRecordBytes = 1024;
/** Addresses of its own that a node may list. */
const maxVirtualIps = 4;
const maxListed = 16;
const nonceBytes = 12;
const tagBytes = 16;
const label = new TextEncoder().encode("vpnd/v1 node record");
const namePattern = /^[A-Za-z0-9-]{1,63}$/;

/** An address with a prefix length, canonical text. */
export interface AddressPrefix {
  address: string;
  length: number;
}

export interface NodeRecord {
  nodeKey: Uint8Array;
  sequence: bigint;
  ttlSeconds: number;
  /** The node's own addresses, without duplicates; at least one. */
  virtualIps: string[];
  name?: string;
  endpoints: string[];
  routes: AddressPrefix[];
}

/** Why a record was not taken. */
export type RecordFault = "size" | "malformed" | "signature" | "sealed" | "contents";

/** What opens and seals the records of a network. */
export interface RecordKeys {
  networkId: Uint8Array;
  recordsKey: Uint8Array;
}

export interface RecordDraft {
  virtualIps: readonly string[];
  name?: string;
  endpoints?: readonly string[];
  routes?: readonly AddressPrefix[];
  /** Higher than in any record of this node key before. */
  sequence: bigint;
  ttlSeconds: number;
}

/** Whether a text can be a node's name: 1 to 63 letters, digits and hyphens. */
export function isNodeName(text: string): boolean {
  return namePattern.test(text);
}

/**
 * Builds, seals and signs a record.
 * @param nonce 12 bytes, never used before with this node key
 * @throws RangeError for contents that no peer would accept
 */
export function buildNodeRecord(
  draft: RecordDraft,
  key: SigningKey,
  keys: RecordKeys,
  nonce: Uint8Array,
): Uint8Array {
  if (nonce.length !== nonceBytes) throw new RangeError("the nonce of a node record has 12 bytes");
  const contents = create(NodeRecordContentsSchema, {
    virtualIps: draft.virtualIps.map((address) => toPrefix({ address, length: hostBits(address) })),
    name: draft.name ?? "",
    endpoints: [...(draft.endpoints ?? [])],
    routes: (draft.routes ?? []).map(toPrefix),
  });
  if (readContents(contents) === undefined)
    throw new RangeError("the contents of the node record are invalid");
  const body = toBinary(
    NodeRecordBodySchema,
    create(NodeRecordBodySchema, {
      sequence: draft.sequence,
      ttlSeconds: draft.ttlSeconds,
      sealed: seal(toBinary(NodeRecordContentsSchema, contents), key.publicKey, keys, nonce),
    }),
  );
  const record = toBinary(
    SignedNodeRecordSchema,
    create(SignedNodeRecordSchema, {
      nodeKey: key.publicKey,
      body,
      signature: key.sign(signedBytes(keys.networkId, body)),
    }),
  );
  if (record.length > maxRecordBytes) throw new RangeError("the node record is too large");
  return record;
}

/** Checks and opens a record from the network. Never throws. */
export function openNodeRecord(bytes: Uint8Array, keys: RecordKeys): NodeRecord | RecordFault {
  if (bytes.length === 0 || bytes.length > maxRecordBytes) return "size";
  const signed = attempt(() => fromBinary(SignedNodeRecordSchema, bytes));
  if (signed === undefined || signed.nodeKey.length !== 32) return "malformed";
  if (!verifySignature(signed.nodeKey, signedBytes(keys.networkId, signed.body), signed.signature)) {
    return "signature";
  }
  const body = attempt(() => fromBinary(NodeRecordBodySchema, signed.body));
  if (body === undefined) return "malformed";
  const plain = attempt(() => unseal(body.sealed, signed.nodeKey, keys));
  if (plain === undefined) return "sealed";
  const message = attempt(() => fromBinary(NodeRecordContentsSchema, plain));
  const contents = message && readContents(message);
  if (contents === undefined) return "contents";
  return {
    nodeKey: signed.nodeKey,
    sequence: body.sequence,
    ttlSeconds: body.ttlSeconds,
    ...contents,
  };
}

type Contents = Pick<NodeRecord, "virtualIps" | "name" | "endpoints" | "routes">;

function readContents(message: NodeRecordContents): Contents | undefined {
  if (message.virtualIps.length === 0 || message.virtualIps.length > maxVirtualIps) return undefined;
  if (message.endpoints.length > maxListed || message.routes.length > maxListed) return undefined;
  if (message.name !== "" && !isNodeName(message.name)) return undefined;
  if (message.endpoints.some((endpoint) => endpoint.length > 64)) return undefined;
  const own = message.virtualIps.map(fromPrefix);
  const routes = message.routes.map(fromPrefix);
  const virtualIps = new Set<string>();
  for (const prefix of own) {
    if (prefix === undefined || prefix.length !== hostBits(prefix.address)) return undefined;
    virtualIps.add(prefix.address);
  }
  const contents: Contents = {
    virtualIps: [...virtualIps],
    endpoints: [...message.endpoints],
    routes: routes.filter((route) => route !== undefined),
  };
  if (contents.routes.length !== routes.length) return undefined;
  if (message.name !== "") contents.name = message.name;
  return contents;
}

function toPrefix(prefix: AddressPrefix): Prefix {
  const address = Uint8Array.from(ipaddr.parse(prefix.address).toByteArray());
  return { $typeName: "iex.v1.Prefix", address, length: prefix.length };
}

function fromPrefix(prefix: Prefix): AddressPrefix | undefined {
  if (prefix.address.length !== 4 && prefix.address.length !== 16) return undefined;
  if (prefix.length > prefix.address.length * 8) return undefined;
  const address = ipaddr.fromByteArray([...prefix.address]);
  // A mapped address is an IPv4 address in disguise: two texts for one address would defeat comparison.
  if (address.kind() === "ipv6" && address.range() === "ipv4Mapped") return undefined;
  return { address: canonicalAddress(address.toString()) ?? "", length: prefix.length };
}

function hostBits(address: string): number {
  return address.includes(":") ? 128 : 32;
}

function signedBytes(networkId: Uint8Array, body: Uint8Array): Uint8Array {
  return Buffer.concat([label, networkId, body]);
}

function sealingKey(nodeKey: Uint8Array, keys: RecordKeys): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", keys.recordsKey, "", nodeKey, 32));
}

function seal(plain: Uint8Array, nodeKey: Uint8Array, keys: RecordKeys, nonce: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", sealingKey(nodeKey, keys), nonce);
  cipher.setAAD(keys.networkId);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function unseal(sealed: Uint8Array, nodeKey: Uint8Array, keys: RecordKeys): Uint8Array | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  const nonce = sealed.subarray(0, nonceBytes);
  const decipher = createDecipheriv("aes-256-gcm", sealingKey(nodeKey, keys), nonce);
  decipher.setAAD(keys.networkId);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  return Buffer.concat([
    decipher.update(sealed.subarray(nonceBytes, sealed.length - tagBytes)),
    decipher.final(),
  ]);
}

/** Decoders and ciphers throw on hostile input; here that is an answer, not an exception. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
