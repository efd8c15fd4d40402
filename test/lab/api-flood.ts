/** Garbage in large numbers at vpnd's API socket, and what became of it. */
import { randomBytes, randomInt } from "node:crypto";
import { connect } from "node:net";
import { alteredCall, badFrame, beginning, oddFrame } from "./http2-garbage.js";

export interface ApiFloodReport {
  messages: number;
  connections: number;
  calls: number;
  answers: number;
  /** Connections that the server broke off because of what came: it hung up, or said GOAWAY with an error. */
  ended: number;
}

const beside = 24;
/** No connection takes that long. */
const limitMs = 20_000;

/** Sends so many messages over many connections, two kinds in turn: endurable ones to their end, and ones that break off. */
export async function floodApi(path: string, messages: number): Promise<ApiFloodReport> {
  const report: ApiFloodReport = { messages: 0, connections: 0, calls: 0, answers: 0, ended: 0 };
  const worker = async (): Promise<void> => {
    while (report.messages < messages) {
      if (report.connections++ % 6 === 0) await harsh(path, report);
      else await endurable(path, report);
    }
  };
  await Promise.all(Array.from({ length: beside }, worker));
  return report;
}

/** Odd frames and calls with altered messages; done when every call is answered. */
async function endurable(path: string, report: ApiFloodReport): Promise<void> {
  const parts = [beginning()];
  let calls = 0;
  for (let i = 0; i < 90; i++) {
    if (i % 10 === 0) parts.push(alteredCall(2 * calls++ + 1));
    else parts.push(oddFrame());
  }
  report.messages += 90;
  report.calls += calls;
  const answers = await answersOf(path, Buffer.concat(parts), calls, report);
  report.answers += answers;
}

/** Frames of which one will be the last; or no HTTP/2 at all. */
async function harsh(path: string, report: ApiFloodReport): Promise<void> {
  const count = randomInt(5, 60);
  const parts = randomInt(4) === 0 ? [randomBytes(64)] : [beginning()];
  for (let i = 0; i < count; i++) parts.push(badFrame());
  // Longer than any frame that may still be open, and itself none: the connection has to end.
  parts.push(Buffer.alloc(17_000, 0xff));
  report.messages += count + 1;
  await answersOf(path, Buffer.concat(parts), Number.POSITIVE_INFINITY, report);
}

/** @returns calls that were answered before the connection ended; it is ended here when `wanted` are */
function answersOf(path: string, bytes: Buffer, wanted: number, report: ApiFloodReport): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let answers = 0;
    let over = false;
    let left: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`${answers} of ${wanted} calls were answered within ${limitMs} ms`));
    }, limitMs);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      clearTimeout(timer);
      if (!over) report.ended += 1;
      resolve(answers);
    });
    socket.on("data", (data) => {
      left = Buffer.concat([left, data]);
      while (left.length >= 9 && left.length >= 9 + left.readUIntBE(0, 3)) {
        const [kind, flags] = [left.readUInt8(3), left.readUInt8(4)];
        const error = kind === 7 ? left.readUInt32BE(13) : 0;
        left = left.subarray(9 + left.readUIntBE(0, 3));
        // The end of a stream: HEADERS with END_STREAM, or RST_STREAM.
        if ((kind === 1 && (flags & 1) === 1) || kind === 3) answers += 1;
        // The server may wait for the other side to hang up.
        if (error !== 0) socket.destroy();
      }
      if (answers < wanted || over) return;
      over = true;
      socket.destroy();
    });
    socket.write(bytes);
  });
}
