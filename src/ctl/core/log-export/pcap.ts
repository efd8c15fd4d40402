/** Files of packets as tcpdump reads them (draft-ietf-opsawg-pcap): microseconds, raw IP, little-endian. */
import type { Exported } from "./exported.js";

const magic = 0xa1b2c3d4;
const linkTypeRaw = 101;
/** Packets are not cut by a capture's limit; tools want one all the same. */
const snapLength = 262_144;
const million = 1_000_000n;

export const pcapHeader: Uint8Array = (() => {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(magic, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapLength, 16);
  header.writeUInt32LE(linkTypeRaw, 20);
  return header;
})();

/** One packet, with the time of the log. */
export function pcapPacket({ at, packet, length }: Exported): Uint8Array {
  const header = Buffer.allocUnsafe(16);
  header.writeUInt32LE(Number((at / million) & 0xffff_ffffn), 0);
  header.writeUInt32LE(Number(at % million), 4);
  header.writeUInt32LE(packet.length, 8);
  header.writeUInt32LE(length, 12);
  return Buffer.concat([header, packet]);
}
