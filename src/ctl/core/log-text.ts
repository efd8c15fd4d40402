/** Rows of the packet log for people and programs. */
import { countPackets } from "../../common/packet/split.js";
import { timestampText } from "../../common/postgres/log/query.js";
import type { LogRecord } from "../../common/postgres/log/record.js";
import { type PacketFields, protocols, takeApart } from "../../common/postgres/packet.js";
import { addressText } from "./log-address.js";
import type { Json } from "./present.js";
import { printable } from "./table.js";

const protocolNames: ReadonlyMap<number, string> = new Map([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [47, "gre"],
  [50, "esp"],
  [58, "icmp6"],
  [132, "sctp"],
]);

export const protocolName = (protocol: number): string => protocolNames.get(protocol) ?? `proto ${protocol}`;

const flagLetters: readonly (readonly [number, string])[] = [
  [0x02, "S"],
  [0x01, "F"],
  [0x04, "R"],
  [0x08, "P"],
  [0x20, "U"],
  [0x40, "E"],
  [0x80, "W"],
  [0x10, "."],
];

/** As tcpdump writes them. */
export const tcpFlagsText = (bits: number): string =>
  flagLetters
    .filter(([bit]) => (bits & bit) !== 0)
    .map(([, letter]) => letter)
    .join("") || "none";

/** The header of a packet; undefined: it is none. What was not kept of its payload reads as zero. */
export function fieldsOf({ packet, length }: Pick<LogRecord, "packet" | "length">): PacketFields | undefined {
  if (packet.length === length) return takeApart(packet);
  return takeApart(Buffer.concat([packet, Buffer.alloc(length - packet.length)]));
}

/** One row on one line: when, who to whom, what. */
export function recordLine(record: LogRecord): string {
  const { at, sender, receiver, length } = record;
  const fields = fieldsOf(record);
  const packets = countPackets({ bytes: record.packet, length }, record.offload);
  const several = packets > 1 ? ` (${packets} packets)` : "";
  const what =
    fields === undefined ? `no packet, ${length} bytes` : packetText(fields) + several + missing(record);
  return `${timestampText(at)}  ${printable(`${sender} > ${receiver ?? "nobody"}`)}  ${what}\n`;
}

const missing = ({ payload }: LogRecord): string => (payload === "kept" ? "" : ` (${payload})`);

function packetText(fields: PacketFields): string {
  const { transport, protocol } = fields;
  const end = (address: Uint8Array, port: number | null): string => {
    const text = addressText(address);
    if (port === null) return text;
    return address.length === 16 ? `[${text}]:${port}` : `${text}:${port}`;
  };
  const from = end(fields.source, transport.sourcePort);
  const to = end(fields.destination, transport.destinationPort);
  const payload = `${fields.payload.length} bytes`;
  const fragment = (fields.fragmentOffset ?? 0) > 0 ? " fragment" : "";
  const words = [`${from} > ${to}`, protocolName(protocol) + fragment];
  if (transport.tcpFlags !== null) {
    words.push(`${tcpFlagsText(transport.tcpFlags)} seq ${transport.tcpSequence}`);
    if ((transport.tcpFlags & 0x10) !== 0) words.push(`ack ${transport.tcpAcknowledgment}`);
    words.push(`win ${transport.tcpWindow}`);
  } else if (transport.icmpType !== null) {
    words.push(`type ${transport.icmpType} code ${transport.icmpCode}`);
  }
  return `${words.join(" ")}, ${payload}`;
}

/** @param payload in base64; undefined: it is left out */
export function recordJson(
  record: LogRecord,
  network: string,
  payload?: string,
): { schema: string; [key: string]: Json } {
  const fields = fieldsOf(record);
  const { packet, length, offload } = record;
  const packets = fields === undefined ? 0 : countPackets({ bytes: packet, length }, offload);
  return {
    schema: "vpnctl.log-packet/v1",
    time: timestampText(record.at),
    sent: timestampText(record.sent),
    network: network === "" ? undefined : network,
    sender: record.sender,
    receiver: record.receiver,
    session: String(record.session),
    seq: String(record.seq),
    packets,
    length,
    payloadState: record.payload,
    ...(fields !== undefined && packetJson(fields)),
    payload,
  };
}

function packetJson(fields: PacketFields): { [key: string]: Json } {
  const { transport, protocol } = fields;
  const number = (value: number | null): number | undefined => value ?? undefined;
  const { tcpFlags: flags } = transport;
  return {
    version: fields.version,
    protocol: protocolNames.get(protocol) ?? String(protocol),
    source: addressText(fields.source),
    sourcePort: number(transport.sourcePort),
    destination: addressText(fields.destination),
    destinationPort: number(transport.destinationPort),
    ttl: fields.ttl,
    payloadLength: fields.payload.length,
    tcp:
      flags === null
        ? undefined
        : {
            flags: tcpFlagsText(flags),
            sequence: number(transport.tcpSequence),
            acknowledgment: (flags & 0x10) === 0 ? undefined : number(transport.tcpAcknowledgment),
            window: number(transport.tcpWindow),
          },
    icmp:
      transport.icmpType === null || (protocol !== protocols.icmp && protocol !== protocols.icmp6)
        ? undefined
        : { type: transport.icmpType, code: transport.icmpCode ?? 0 },
  };
}
