import { VpnError } from "../../../common/errors.js";
import type { LogRecord } from "../../../common/postgres/log/record.js";
import { Anonymiser } from "../../core/log-export/anonymise.js";
import { csvHeader, csvLine } from "../../core/log-export/csv.js";
import { type Exported, exportedOf } from "../../core/log-export/exported.js";
import { jsonPacket } from "../../core/log-export/json.js";
import { pcapHeader, pcapPacket } from "../../core/log-export/pcap.js";
import { jsonLine } from "../../core/present.js";
import { notes } from "../../core/table.js";
import { openSink } from "../../io/sink.js";
import type { CtlCommand, CtlContext } from "../context.js";
import { type LogFlags, questionOf, withLog } from "../log.js";

export interface LogExportFlags extends LogFlags {
  readonly pcap?: string;
  readonly csv?: boolean;
  readonly jsonl?: boolean;
  readonly anonymise?: boolean;
}

interface Format {
  head: Uint8Array;
  packet: (packet: Exported) => Uint8Array;
}

const keyBytes = 32;

const logExport: CtlCommand<LogExportFlags, [string?]> = async (context, flags, network) => {
  const format = formatOf(context, flags, network);
  const question = questionOf(context, flags, network);
  const anonymiser = flags.anonymise === true ? new Anonymiser(context.random(keyBytes)) : undefined;
  const path = flags.pcap ?? "-";
  const counts = { packets: 0, leftOut: 0, sealed: 0 };
  await withLog(context, flags, async (log) => {
    const sink = await openSink(path);
    try {
      await sink.write(format.head);
      for await (const records of log.records(question)) {
        const packets = records.flatMap((record) => packetsOf(record, anonymiser, counts));
        if (packets.length > 0) await sink.write(Buffer.concat(packets.map(format.packet)));
      }
    } finally {
      await sink.close();
    }
  });
  tell(context, path, counts);
  return 0;
};

interface Counts {
  packets: number;
  /** Rows that stand for no packet. */
  leftOut: number;
  /** Packets whose payload could not be opened. */
  sealed: number;
}

function packetsOf(record: LogRecord, anonymiser: Anonymiser | undefined, counts: Counts): Exported[] {
  const whole = exportedOf(record);
  const packets =
    anonymiser === undefined ? whole : whole.flatMap((packet) => anonymiser.packet(packet) ?? []);
  counts.packets += packets.length;
  if (packets.length === 0) counts.leftOut += 1;
  if (record.payload === "encrypted" || record.payload === "altered") counts.sealed += packets.length;
  return packets;
}

function formatOf(context: CtlContext, flags: LogExportFlags, network = ""): Format {
  const { pcap, csv = false, jsonl = false, anonymise = false } = flags;
  if ([pcap !== undefined, csv, jsonl].filter((given) => given).length !== 1) {
    throw new VpnError("usage", "one of --pcap, --csv and --jsonl says what to write", {
      hint: "such as --pcap FILE, or --pcap - for standard output",
    });
  }
  if (pcap !== undefined) return { head: pcapHeader, packet: pcapPacket };
  if (csv) return { head: Buffer.from(csvHeader), packet: (packet) => Buffer.from(csvLine(packet)) };
  const name = network === "" ? context.globals.network : network;
  return {
    head: Buffer.alloc(0),
    packet: (packet) => Buffer.from(jsonLine(jsonPacket(packet, name, !anonymise))),
  };
}

/** On standard error when standard output has the packets. */
function tell(context: CtlContext, path: string, { packets, leftOut, sealed }: Counts): void {
  const remarks = [
    ...(leftOut > 0 ? [`${leftOut} rows hold no IP packet and were left out`] : []),
    ...(sealed > 0
      ? [`${sealed} packets are without their payload: it does not open with the keys at hand`]
      : []),
  ];
  if (path === "-") {
    context.err.write(notes(remarks));
  } else if (context.globals.json) {
    context.out.write(
      jsonLine({ schema: "vpnctl.log-export/v1", file: path, packets, leftOut, withoutPayload: sealed }),
    );
  } else {
    context.out.write(`${packets} packets in ${path}\n${notes(remarks)}`);
  }
}

export default logExport;
