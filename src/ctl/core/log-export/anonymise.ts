/** Packets without what tells who spoke, and about what: other addresses, no payload, no names. */
import { checksumOf, pseudoSum, sumBytes } from "../../../common/packet/checksum.js";
import { writeIpChecksum } from "../../../common/packet/split.js";
import { headersLength, type PacketFields, protocols } from "../../../common/postgres/packet.js";
import { fieldsOf } from "../log-text.js";
import type { Exported } from "./exported.js";
import { Pseudonyms } from "./pseudonyms.js";

const ipv4Header = 20;
const ipv6Header = 40;
const tcpHeader = 20;
const noOperation = 1;
/** End, no operation, segment size, window scale, selective acknowledgments, time stamps: none of them holds an address. */
const harmless: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, 5, 8]);

export class Anonymiser {
  readonly #addresses: Pseudonyms;
  readonly #names = new Map<string, string>();

  /** @param key 32 random bytes */
  constructor(key: Uint8Array) {
    this.#addresses = new Pseudonyms(key);
  }

  /** Undefined: it is no packet whose addresses can be found. Lengths stay, checksums are those of a payload of zeros. */
  packet(packet: Exported): Exported | undefined {
    const fields = fieldsOf(packet);
    if (fields === undefined) return undefined;
    const kept = Math.min(packet.packet.length, keptBytes(fields));
    const bytes = Buffer.from(packet.packet.subarray(0, kept));
    const source = this.#addresses.of(fields.source);
    const destination = this.#addresses.of(fields.destination);
    bytes.set(source, fields.version === 4 ? 12 : 8);
    bytes.set(destination, fields.version === 4 ? 16 : 24);
    const transport = fields.version === 4 ? (fields.ihl ?? 5) * 4 : ipv6Header;
    if (fields.version === 4) {
      bytes.fill(0, ipv4Header, transport);
      writeIpChecksum(bytes, transport);
    }
    if (bytes.length > transport) hide(bytes, transport, fields, { source, destination });
    return {
      ...packet,
      packet: bytes,
      sender: this.#name(packet.sender),
      receiver: packet.receiver === undefined ? undefined : this.#name(packet.receiver),
      payload: "not-kept",
    };
  }

  #name(name: string): string {
    const known = this.#names.get(name) ?? `node-${this.#names.size + 1}`;
    this.#names.set(name, known);
    return known;
  }
}

/** Headers that can be told from payload; extension headers of IPv6 may hold addresses, and end it. */
function keptBytes(fields: PacketFields): number {
  return fields.extensionHeaders === null ? headersLength(fields) : ipv6Header;
}

type Addresses = Record<"source" | "destination", Uint8Array>;

function hide(bytes: Buffer, at: number, fields: PacketFields, { source, destination }: Addresses): void {
  const { protocol, totalLength } = fields;
  if (protocol === protocols.tcp) hideOptions(bytes, at + tcpHeader);
  const field = at + (protocol === protocols.tcp ? 16 : protocol === protocols.udp ? 6 : 2);
  if (field + 2 > bytes.length) return;
  const none = protocol === protocols.udp && bytes.readUInt16BE(field) === 0;
  if (none) return;
  bytes.writeUInt16BE(0, field);
  const pseudo = protocol === protocols.icmp ? 0 : pseudoSum(source, destination, protocol, totalLength - at);
  const sum = checksumOf(pseudo + sumBytes(bytes, at));
  bytes.writeUInt16BE(sum === 0 && protocol === protocols.udp ? 0xffff : sum, field);
}

/** Options that may hold an address become none. */
function hideOptions(bytes: Buffer, from: number): void {
  for (let at = from; at < bytes.length; ) {
    const kind = bytes.readUInt8(at);
    if (kind === 0) return void bytes.fill(0, at);
    const length = kind === noOperation ? 1 : Math.max(2, bytes[at + 1] ?? 2);
    if (!harmless.has(kind)) bytes.fill(noOperation, at, Math.min(bytes.length, at + length));
    at += length;
  }
}
