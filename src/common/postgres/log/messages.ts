/** Questions to the log and their answers, as the control API has them. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { VpnError } from "../../errors.js";
import type {
  LogRecordSchema,
  LogTimeSchema,
  LogRecord as RecordMessage,
  LogTime as TimeMessage,
} from "../../gen/vpnd/v1/log_pb.js";
import type { LogTime } from "./query.js";
import type { LogRecord, PayloadState } from "./record.js";

const million = 1_000_000n;
const payloadStates: readonly PayloadState[] = ["kept", "not-kept", "encrypted", "altered"];

export function timeMessage(time: LogTime): MessageInitShape<typeof LogTimeSchema> {
  if ("secondsAgo" in time) return { time: { case: "secondsAgo", value: time.secondsAgo } };
  return { time: { case: "at", value: timestampMessage(time.micros) } };
}

/** @throws VpnError `usage` */
export function timeFrom({ time }: TimeMessage): LogTime {
  if (time.case === "at") return { micros: microsOf(time.value) };
  if (time.case === "secondsAgo" && Number.isFinite(time.value)) return { secondsAgo: time.value };
  throw new VpnError("usage", "that is no time");
}

export function recordMessage(record: LogRecord): MessageInitShape<typeof LogRecordSchema> {
  const { at, sent, receiver, offload, ...rest } = record;
  return {
    ...rest,
    at: timestampMessage(at),
    sent: timestampMessage(sent),
    ...(receiver !== undefined && { receiver }),
    ...(offload !== undefined && { offload }),
  };
}

export function recordFrom(message: RecordMessage): LogRecord {
  const { at, sent, sender, receiver, session, seq, packet, length, offload, payload } = message;
  return {
    at: microsOf(at),
    sent: microsOf(sent),
    sender,
    receiver,
    session,
    seq,
    packet: Buffer.from(packet),
    length,
    payload: payloadStates.find((state) => state === payload) ?? "kept",
    offload: offload.length === 0 ? undefined : offload,
  };
}

/** @param micros since 1970 */
export function timestampMessage(micros: bigint): { seconds: bigint; nanos: number } {
  const rest = ((micros % million) + million) % million;
  return { seconds: (micros - rest) / million, nanos: Number(rest) * 1000 };
}

/** Microseconds since 1970. */
export function microsOf(time: Timestamp | undefined): bigint {
  return time === undefined ? 0n : time.seconds * million + BigInt(Math.floor(time.nanos / 1000));
}
