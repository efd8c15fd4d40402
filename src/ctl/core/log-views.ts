/** Sums of the packet log as tables and documents. */
import { formatBytes } from "../../common/format/bytes.js";
import type { LogView, ViewRow } from "../../common/postgres/log/views.js";
import { protocolName } from "./log-text.js";
import type { Look } from "./look.js";
import type { Json } from "./present.js";
import { table } from "./table.js";

/** What a column is called in JSON, what its values are, and where it stands in a table. */
interface Column {
  name: string;
  json: string;
  kind: "text" | "number" | "time" | "protocol";
}

const column = (name: string, kind: Column["kind"], json = name): Column => ({ name, json, kind });
const ends = [
  column("source", "text"),
  column("source_port", "number", "sourcePort"),
  column("destination", "text"),
  column("destination_port", "number", "destinationPort"),
];
const span = [column("first", "time"), column("last", "time")];
const sent = [column("sent_packets", "number", "sentPackets"), column("sent_bytes", "number", "sentBytes")];

const columns: Readonly<Record<LogView, readonly Column[]>> = {
  talkers: [
    column("address", "text"),
    column("node", "text"),
    ...sent,
    column("received_packets", "number", "receivedPackets"),
    column("received_bytes", "number", "receivedBytes"),
    column("peers", "number"),
    ...span,
  ],
  conversations: [
    column("protocol", "protocol"),
    ...ends,
    ...sent,
    column("returned_packets", "number", "returnedPackets"),
    column("returned_bytes", "number", "returnedBytes"),
    ...span,
  ],
  connections: [
    ...ends,
    column("state", "text"),
    column("opened", "time"),
    column("closed", "time"),
    column("packets", "number"),
    column("bytes", "number"),
    column("last", "time"),
  ],
};

const schemas: Readonly<Record<LogView, string>> = {
  talkers: "vpnctl.log-talker/v1",
  conversations: "vpnctl.log-conversation/v1",
  connections: "vpnctl.log-connection/v1",
};

/** A document for a row. */
export function viewJson(view: LogView, row: ViewRow): { schema: string; [key: string]: Json } {
  const values = columns[view].map(({ name, json, kind }): [string, Json] => {
    const value = row[name];
    if (value === undefined) return [json, undefined];
    if (kind === "protocol") return [json, protocolName(Number(value)).replace("proto ", "")];
    return [json, kind === "number" ? Number(value) : value];
  });
  return { schema: schemas[view], ...Object.fromEntries(values) };
}

export function viewText(view: LogView, rows: readonly ViewRow[], look: Look): string {
  switch (view) {
    case "talkers":
      return table(
        ["ADDRESS", "NODE", "SENT", "RECEIVED", "PACKETS", "PEERS", "LAST"],
        rows.map((row) => [
          row.address ?? "",
          row.node ?? "-",
          bytes(row.sent_bytes),
          bytes(row.received_bytes),
          String(Number(row.sent_packets) + Number(row.received_packets)),
          row.peers ?? "",
          second(row.last),
        ]),
        { look, droppable: ["LAST", "PEERS"] },
      );
    case "conversations":
      return table(
        ["PROTOCOL", "FROM", "TO", "SENT", "RETURNED", "PACKETS", "FIRST", "LAST"],
        rows.map((row) => [
          protocolName(Number(row.protocol)),
          end(row.source, row.source_port),
          end(row.destination, row.destination_port),
          bytes(row.sent_bytes),
          bytes(row.returned_bytes),
          String(Number(row.sent_packets) + Number(row.returned_packets)),
          second(row.first),
          second(row.last),
        ]),
        { look, droppable: ["FIRST", "LAST"] },
      );
    case "connections":
      return table(
        ["OPENED", "CLOSED", "FROM", "TO", "STATE", "PACKETS", "SIZE"],
        rows.map((row) => [
          second(row.opened),
          second(row.closed),
          end(row.source, row.source_port),
          end(row.destination, row.destination_port),
          row.state ?? "",
          row.packets ?? "",
          bytes(row.bytes),
        ]),
        { look, droppable: ["SIZE", "PACKETS"] },
      );
  }
}

const bytes = (value: string | undefined): string => formatBytes(Number(value ?? 0));

const second = (time: string | undefined): string => time?.replace(/\.\d+Z$/, "Z") ?? "-";

function end(address = "", port?: string): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
