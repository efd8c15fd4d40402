/** Messages of PostgreSQL's protocol, version 3.0, as far as they are used behind the log-in, which pg does. */

/** First bytes of what the server says. */
export const answers = {
  notification: "A".charCodeAt(0),
  complete: "C".charCodeAt(0),
  dataRow: "D".charCodeAt(0),
  error: "E".charCodeAt(0),
  ready: "Z".charCodeAt(0),
} as const;

const copyData = "d";
/** The largest answer that is waited for, bytes: a row with a packet of 64 KiB, and more than that. */
const mostAnswer = 1 << 20;

function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  const head = Buffer.allocUnsafe(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(length, 1);
  return Buffer.concat([head, ...parts]);
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const int16 = (value: number): Buffer => Buffer.of((value >> 8) & 0xff, value & 0xff);

/** Statements in one text, without parameters. */
export function simpleQuery(sql: string): Buffer {
  return message("Q", text(sql));
}

/** Names a statement, or leaves it without a name. */
export function parse(name: string, sql: string): Buffer {
  return message("P", text(name), text(sql), int16(0));
}

/** Runs a statement that was parsed. @param binary the form of all columns of the answer */
export function bindAndExecute(
  name: string,
  parameters: readonly (string | null)[],
  binary: boolean,
): Buffer {
  const values = parameters.map((value) => {
    const size = Buffer.allocUnsafe(4);
    const bytes = Buffer.from(value ?? "");
    size.writeInt32BE(value === null ? -1 : bytes.length);
    return Buffer.concat([size, bytes]);
  });
  const formats = binary ? [int16(1), int16(1)] : [int16(0)];
  const bind = [text(""), text(name), int16(0), int16(parameters.length), ...values, ...formats];
  return Buffer.concat([message("B", ...bind), message("E", text(""), Buffer.alloc(4))]);
}

export const sync = message("S");
export const terminate = message("X");

/** What is written around the data of a COPY … FROM STDIN, in one message. @param length bytes of data */
export function copyDataHead(length: number): Buffer {
  const head = Buffer.allocUnsafe(5);
  head.write(copyData, 0, "latin1");
  head.writeInt32BE(length + 4, 1);
  return head;
}
export const copyDone = message("c");

const firstMemory = 128 << 10;

/** Cuts the stream of answers into messages. */
export class AnswerReader {
  readonly #onAnswer: (type: number, body: Buffer) => void;
  /** What came of messages that are not whole; used again and again. */
  #memory = Buffer.allocUnsafe(firstMemory);
  #held = 0;
  #wanted = 0;

  /** @param onAnswer the body is a view that holds until it returns */
  constructor(onAnswer: (type: number, body: Buffer) => void) {
    this.#onAnswer = onAnswer;
  }

  /**
   * @param chunk not needed any more afterwards
   * @throws RangeError for an answer that is larger than there are any
   */
  read(chunk: Buffer): void {
    if (this.#held === 0) {
      this.#keep(chunk, this.#cut(chunk));
      return;
    }
    const held = this.#held + chunk.length;
    this.#room(held);
    chunk.copy(this.#memory, this.#held);
    this.#held = held;
    // Looked at only when it makes a message whole.
    if (held < this.#wanted) return;
    const bytes = this.#memory.subarray(0, held);
    this.#keep(bytes, this.#cut(bytes));
  }

  /** @returns where what is not whole begins */
  #cut(bytes: Buffer): number {
    let at = 0;
    this.#wanted = 5;
    while (bytes.length - at >= 5) {
      const length = bytes.readUInt32BE(at + 1) + 1;
      if (length < 5 || length > mostAnswer) throw new RangeError(`an answer of ${length} bytes`);
      if (bytes.length - at < length) {
        this.#wanted = length;
        break;
      }
      this.#onAnswer(bytes.readUInt8(at), bytes.subarray(at + 5, at + length));
      at += length;
    }
    return at;
  }

  #keep(bytes: Buffer, from: number): void {
    this.#held = bytes.length - from;
    this.#room(this.#held);
    bytes.copy(this.#memory, 0, from);
  }

  #room(bytes: number): void {
    if (bytes <= this.#memory.length) return;
    const larger = Buffer.allocUnsafe(bytes * 2);
    this.#memory.copy(larger, 0, 0, this.#held);
    this.#memory = larger;
  }
}

/** The values of a DataRow in text form. */
export function textRow(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(0, length);
  }
  return values;
}

/** What the server refused, and why; `code` is an SQLSTATE. */
export interface Refusal {
  code: string;
  message: string;
}

export function readRefusal(body: Buffer): Refusal {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at] ?? 0), body.toString("utf8", at + 1, end));
    at = end + 1;
  }
  return { code: fields.get("C") ?? "XX000", message: fields.get("M") ?? "unknown error" };
}

/** Channel and payload of a notification. */
export function readNotification(body: Buffer): { channel: string; payload: string } {
  const [channel = "", payload = ""] = body.toString("utf8", 4).split("\0");
  return { channel, payload };
}
