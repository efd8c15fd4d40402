/** How a super-packet is split: struct virtio_net_hdr, little-endian, as the device has it. */
import type { PacketFields } from "./packet.js";

/** struct virtio_net_hdr in front of each item. */
export const offloadBytes = 10;

/** How many packets a super-packet stands for. @param item begins with its vnet header */
export function segmentsOf(item: Buffer, fields: Pick<PacketFields, "payload"> | undefined): number {
  const size = item.readUInt16LE(4);
  if (size === 0 || fields === undefined) return 1;
  return Math.max(1, Math.ceil(fields.payload.length / size));
}
