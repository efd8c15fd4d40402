/** Packets as CSV (RFC 4180). */
import { timestampText } from "../../../common/postgres/log/query.js";
import { addressText } from "../log-address.js";
import { fieldsOf, protocolName, tcpFlagsText } from "../log-text.js";
import type { Exported } from "./exported.js";

const names = [
  "time",
  "sent",
  "sender",
  "receiver",
  "session",
  "seq",
  "length",
  "version",
  "protocol",
  "source",
  "source_port",
  "destination",
  "destination_port",
  "ttl",
  "tcp_flags",
  "tcp_sequence",
  "tcp_acknowledgment",
  "tcp_window",
  "icmp_type",
  "icmp_code",
  "payload_length",
];

export const csvHeader = line(names);

export function csvLine(packet: Exported): string {
  const { at, sent, sender, receiver, session, seq, length } = packet;
  const fields = fieldsOf(packet);
  const common = [timestampText(at), timestampText(sent), sender, receiver, session, seq, length];
  if (fields === undefined) return line([...common, ...Array<null>(names.length - common.length).fill(null)]);
  const { transport } = fields;
  return line([
    ...common,
    fields.version,
    protocolName(fields.protocol),
    addressText(fields.source),
    transport.sourcePort,
    addressText(fields.destination),
    transport.destinationPort,
    fields.ttl,
    transport.tcpFlags === null ? null : tcpFlagsText(transport.tcpFlags),
    transport.tcpSequence,
    transport.tcpAcknowledgment,
    transport.tcpWindow,
    transport.icmpType,
    transport.icmpCode,
    fields.payload.length,
  ]);
}

function line(values: readonly (string | number | bigint | null | undefined)[]): string {
  return `${values.map((value) => quoted(String(value ?? ""))).join(",")}\r\n`;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
