/** DNS messages (RFC 1035) as they come to port 53: what of them is a question, and what is none. All of it is hostile. */
import dnsPacket, { type Packet } from "dns-packet";

export const rcodes = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5 } as const;
export type Rcode = (typeof rcodes)[keyof typeof rcodes];

const headerBytes = 12;
/** Nobody asks longer questions. */
export const longestQuery = 4096;
/** Without EDNS (RFC 1035 section 4.2.1). */
const plainUdpBytes = 512;
/** What passes every path unfragmented, and the most that a question can make us send over UDP. */
const mostUdpBytes = 1232;

export interface Query {
  id: number;
  /** Recursion is desired. */
  recursion: boolean;
  /** As it came, with its letters' case; without the dot at the end, "" for the root. */
  name: string;
  /** Such as "A". */
  type: string;
  /** Such as "IN". */
  class: string;
  /** Version of EDNS (RFC 6891); undefined: none. */
  edns: number | undefined;
  /** The most that the asker takes over UDP, bytes. */
  udpBytes: number;
  /** The question as it came. */
  question: Buffer;
  /** The name cannot be written with dots between labels. */
  odd: boolean;
}

/** `drop`: nobody is owed an answer. */
export type ReadQuery =
  | { kind: "query"; query: Query }
  | { kind: "error"; rcode: Rcode; id: number; opcode: number; recursion: boolean }
  | { kind: "drop" };

export function readQuery(message: Buffer): ReadQuery {
  if (message.length < headerBytes || message.length > longestQuery) return { kind: "drop" };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  // To answer answers would let two servers keep each other busy.
  if ((flags & 0x8000) !== 0) return { kind: "drop" };
  const recursion = (flags & 0x0100) !== 0;
  const opcode = (flags >> 11) & 15;
  if (opcode !== 0) return { kind: "error", rcode: rcodes.notImp, id, opcode, recursion };
  const malformed = { kind: "error", rcode: rcodes.formErr, id, opcode, recursion } as const;
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  if (questions !== 1 || answers !== 0 || authorities !== 0 || (additionals ?? 0) > 1) return malformed;
  const end = questionEnd(message);
  if (end === undefined) return malformed;
  const decoded = decode(message);
  const asked = decoded?.questions?.[0];
  if (decoded === undefined || asked === undefined) return malformed;
  const question = message.subarray(headerBytes, end);
  const opt = decoded.additionals?.find((one) => one.type === "OPT");
  const offered = opt?.type === "OPT" ? opt.udpPayloadSize : plainUdpBytes;
  return {
    kind: "query",
    query: {
      id,
      recursion,
      name: asked.name === "." ? "" : asked.name,
      type: asked.type,
      class: asked.class ?? "IN",
      edns: opt?.type === "OPT" ? opt.ednsVersion : undefined,
      udpBytes: Math.max(plainUdpBytes, Math.min(mostUdpBytes, offered)),
      question,
      odd: !isPlain(asked.name, question),
    },
  };
}

/** Where the only question ends; undefined: it does not, or is compressed, which has no place here. */
function questionEnd(message: Buffer): number | undefined {
  let at = headerBytes;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63 || at - headerBytes > 254) return undefined;
    at += 1 + length;
    if (length === 0) break;
  }
  return at + 4 <= message.length ? at + 4 : undefined;
}

function decode(message: Buffer): Packet | undefined {
  try {
    return dnsPacket.decode(message);
  } catch {
    return undefined;
  }
}

/** A dot or other bytes inside a label would read as something else. */
function isPlain(name: string, question: Buffer): boolean {
  if (name === ".") return question[0] === 0;
  const labels = name.split(".").map((label) => {
    const bytes = Buffer.from(label, "utf8");
    return Buffer.concat([Buffer.of(bytes.length & 63), bytes]);
  });
  return Buffer.concat([...labels, Buffer.of(0)]).equals(question.subarray(0, -4));
}

/** An answer without anything in it but the question, if there is one. */
export function emptyAnswer(
  query: { id: number; opcode?: number; recursion: boolean; question?: Buffer },
  rcode: Rcode,
  more: { recursionAvailable?: boolean } = {},
): Buffer {
  const question = query.question ?? Buffer.alloc(0);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(query.id, 0);
  const flags =
    0x8000 |
    ((query.opcode ?? 0) << 11) |
    (query.recursion ? 0x0100 : 0) |
    (more.recursionAvailable === true ? 0x0080 : 0) |
    rcode;
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(question.length === 0 ? 0 : 1, 4);
  return Buffer.concat([header, question]);
}
