/** Our own protocol with messages of few sizes: what fills them up is a control item, which its reader leaves out. */
import { encodeControl } from "../frames.js";
import { type GatewayCodec, type GatewayItems, ownCodec } from "./codec.js";
import { fullMessage, noiseSize, paddedSize } from "./padding.js";

/** The type byte of a control message that fills up; 3 is a hello. */
const paddingType = 4;
const frameHeader = 4;
const least = frameHeader + 1;

export const paddedCodec: GatewayCodec = {
  encode: (items, data, ends) => [...groups(data, ends)].map((group) => encodeGroup(items, group)),
  decode: (message, sink) => ownCodec.decode(message, sink),
  noise: () => padMessage(Buffer.alloc(0), noiseSize()),
};

/** Fills a message of our own protocol up. @param size of the whole; absent: the next of the few */
export function padMessage(message: Buffer, size = paddedSize(message.length + least)): Buffer {
  const filling = Buffer.alloc(size - message.length - frameHeader);
  filling[0] = paddingType;
  return Buffer.concat([message, encodeControl(filling)]);
}

interface Group {
  data: Uint8Array;
  ends: number[];
}

function encodeGroup(items: GatewayItems, { data, ends }: Group): Buffer {
  return padMessage(Buffer.concat(ownCodec.encode(items, data, ends)));
}

/** Items that go into one message each time: as many as fit, and one at least. */
function* groups(data: Uint8Array, ends: ArrayLike<number>): Generator<Group> {
  let from = 0;
  let group: number[] = [];
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i] ?? 0;
    const bytes = end - from + frameHeader * (group.length + 1) + least;
    if (group.length > 0 && bytes > fullMessage) {
      const start = from + (group.at(-1) ?? 0);
      yield { data: data.subarray(from, start), ends: group };
      from = start;
      group = [];
    }
    group.push(end - from);
  }
  if (group.length > 0) yield { data: data.subarray(from), ends: group };
}
