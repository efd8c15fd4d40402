/** What servers answer that were asked for somebody. */

const headerBytes = 12;

/** Whether it answers this very question: same id, and the same name, type and class. */
export function isAnswerTo(question: Buffer, answer: Buffer): boolean {
  if (answer.length < headerBytes || answer.readUInt16BE(0) !== question.readUInt16BE(0)) return false;
  const flags = answer.readUInt16BE(2);
  if ((flags & 0x8000) === 0) return false;
  // Some servers leave the question out when they refuse.
  if (answer.readUInt16BE(4) === 0) return (flags & 15) !== 0;
  const asked = questionOf(question);
  const end = headerBytes + asked.length;
  // Case of letters may change on the way.
  return lower(answer.subarray(headerBytes, end)).equals(lower(asked));
}

/** Cuts an answer that is too long for the asker's UDP to its question, so that TCP is tried. */
export function fitted(question: Buffer, answer: Buffer, most: number): Buffer {
  if (answer.length <= most) return answer;
  const cut = Buffer.concat([answer.subarray(0, headerBytes), questionOf(question)]);
  cut.writeUInt16BE(cut.readUInt16BE(2) | 0x0200, 2);
  cut.writeUInt16BE(1, 4);
  cut.fill(0, 6, headerBytes);
  return cut;
}

/** @param message one whose question was read before */
function questionOf(message: Buffer): Buffer {
  let at = headerBytes;
  for (let length = message[at] ?? 0; length !== 0; length = message[at] ?? 0) at += 1 + length;
  return message.subarray(headerBytes, at + 5);
}

function lower(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)));
}
