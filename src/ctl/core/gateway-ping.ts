/** One ping by way of a gateway, as it is shown. */
import { formatRtt } from "../../common/format/duration.js";
import { type Json, jsonLine } from "./present.js";
import { printable } from "./table.js";

export interface GatewayPong {
  /** URL. */
  gateway: string;
  /** What was pinged, and this end's address behind the gateway. */
  address: string;
  from: string;
  sequence: number;
  /** Absent: no answer in time. */
  rttSeconds?: number;
}

export function gatewayPongText({ address, from, sequence, rttSeconds }: GatewayPong): string {
  if (rttSeconds === undefined) return `${printable(address)}: no answer, seq ${sequence}\n`;
  return `${printable(address)}: seq ${sequence}, ${formatRtt(rttSeconds)}, gateway as ${printable(from)}\n`;
}

export function gatewayPongLine({ gateway, address, from, sequence, rttSeconds }: GatewayPong): string {
  const document: { schema: string; [key: string]: Json } = {
    schema: "vpnctl.gateway-ping/v1",
    ...{ gateway, address, from, sequence, rttSeconds },
  };
  return jsonLine(document);
}
