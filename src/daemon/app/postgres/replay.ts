/** Sends packets of the log once more. */
import { setTimeout as delay } from "node:timers/promises";
import { countPackets } from "../../../common/packet/split.js";
import type { DatabaseLog } from "../../../common/postgres/log/database-log.js";
import type { LogQuery } from "../../../common/postgres/log/query.js";
import type { LogRecord } from "../../../common/postgres/log/record.js";
import { offloadBytes } from "../../../common/postgres/offload.js";

export interface ReplayOptions {
  query: LogQuery;
  /** Twice as fast as it was: 2; 0: as fast as it goes. */
  speed: number;
  /** Sends items of super-packets; resolves when there is room for more. Absent: only counts. */
  inject?: (data: Uint8Array, ends: Uint32Array) => Promise<void>;
}

export interface ReplayProgress {
  packets: number;
  bytes: number;
  /** Rows whose packet is not there any more. */
  leftOut: number;
  /** Of the log, from the first packet to the last. */
  seconds: number;
  done: boolean;
}

const toldMs = 1000;

/** Tells how far it is about once a second, and when it is done. */
export async function* replay(
  log: DatabaseLog,
  { query, speed, inject }: ReplayOptions,
  signal: AbortSignal,
): AsyncGenerator<ReplayProgress> {
  const progress: ReplayProgress = { packets: 0, bytes: 0, leftOut: 0, seconds: 0, done: false };
  const began = performance.now();
  let told = began;
  let first: bigint | undefined;
  for await (const records of log.records(query)) {
    for (const record of records) {
      const { packet, length, offload, sent } = record;
      if (packet.length === 0 || packet.length !== length) {
        progress.leftOut += 1;
        continue;
      }
      first ??= sent;
      progress.seconds = Math.max(progress.seconds, Number(sent - first) / 1e6);
      if (inject !== undefined) {
        const due = speed === 0 ? 0 : began + (progress.seconds * 1000) / speed;
        for (let left = due - performance.now(); left > 0; left = due - performance.now()) {
          if (performance.now() - told >= toldMs) {
            told = performance.now();
            yield { ...progress };
          }
          await delay(Math.min(left, toldMs), undefined, { signal });
        }
        const item = itemOf(record);
        await inject(item, Uint32Array.of(item.length));
      }
      progress.packets += countPackets({ bytes: packet, length }, offload);
      progress.bytes += length;
    }
    if (performance.now() - told >= toldMs) {
      told = performance.now();
      yield { ...progress };
    }
  }
  yield { ...progress, done: true };
}

/** As the device gave it. */
function itemOf({ packet, offload }: LogRecord): Uint8Array {
  const item = Buffer.alloc(offloadBytes + packet.length);
  if (offload !== undefined) item.set(offload.subarray(0, offloadBytes));
  item.set(packet, offloadBytes);
  return item;
}
