import { headersLength } from "../../../common/postgres/packet.js";
import { fieldsOf, recordJson } from "../log-text.js";
import type { Json } from "../present.js";
import type { Exported } from "./exported.js";

/** As `log query` has it, with the payload in base64 if it is wanted and there. */
export function jsonPacket(
  packet: Exported,
  network: string,
  withPayload: boolean,
): { schema: string; [key: string]: Json } {
  const fields = fieldsOf(packet);
  if (!withPayload || fields === undefined || packet.payload !== "kept") return recordJson(packet, network);
  const payload = packet.packet.subarray(headersLength(fields));
  return recordJson(packet, network, payload.toString("base64"));
}
