import { type Piece, split } from "../../../common/packet/split.js";
import type { LogRecord } from "../../../common/postgres/log/record.js";

/** A packet of the log as it would be on a wire. */
export interface Exported extends Omit<LogRecord, "offload"> {
  offload: undefined;
}

/** The packets that a row stands for; none: it is no IP packet. */
export function exportedOf(record: LogRecord): Exported[] {
  const { packet, length, offload } = record;
  const version = (packet[0] ?? 0) >> 4;
  if (packet.length < (version === 6 ? 40 : 20) || (version !== 4 && version !== 6)) return [];
  const whole: Piece = { bytes: packet, length };
  return split(whole, offload).map((piece) => ({
    ...record,
    packet: piece.bytes,
    length: piece.length,
    offload: undefined,
  }));
}
