/**
 * What goes over a TCP link (docs/wire.md, "TCP link"). Classic framing is simpletun's: a 2-byte big-endian length, then the packet.
 * Between two vpnd each item has 4 bytes before it, its kind and a 3-byte length, so that super-packets fit.
 */

/** What items are: IP packets, such behind their vnet headers, or Ethernet frames (`PortItems` of vpnd's packet port). */
export type FrameItems = "packets" | "supers" | "frames";

export type Framing = "classic" | "own";

/** Kinds of items in our own framing; others are left out by who does not know them. */
export const kinds = { packet: 0, super: 1, control: 2 } as const;

/** Largest item of our own framing: a packet of 64 KiB behind its vnet header, or a frame; with room to spare. */
export const maxOwnItem = 65_536 + 64;
/** simpletun reads each packet into a buffer of this size, whatever its length says. */
const classicBuffer = 2000;

const ownHeader = 4;
const classicHeader = 2;

/** Frames of items; `left` counts those that classic framing has no room for. */
export interface Encoded {
  bytes: Buffer;
  left: number;
}

/** Bytes that items need at most, with what goes before them. */
export function roomFor(ends: ArrayLike<number>): number {
  return (ends.length === 0 ? 0 : (ends[ends.length - 1] ?? 0)) + ownHeader * ends.length;
}

/**
 * @param ends of each item in `data`, as in `PacketBatch`
 * @param into what the frames are put in, of `roomFor` or more; new memory without it
 */
export function encodeItems(
  framing: Framing,
  items: FrameItems,
  data: Uint8Array,
  ends: ArrayLike<number>,
  into?: Buffer,
): Encoded {
  const header = framing === "own" ? ownHeader : classicHeader;
  const kind = items === "supers" ? kinds.super : kinds.packet;
  const bytes = into ?? Buffer.allocUnsafe(roomFor(ends));
  let to = 0;
  let from = 0;
  let left = 0;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i] ?? from;
    const length = end - from;
    if (framing === "classic" && (length > classicBuffer || items === "supers")) {
      left += 1;
    } else {
      if (framing === "own") bytes.writeUInt32BE(kind * 0x1000000 + length, to);
      else bytes.writeUInt16BE(length, to);
      bytes.set(data.subarray(from, end), to + header);
      to += header + length;
    }
    from = end;
  }
  return { bytes: bytes.subarray(0, to), left };
}

/** One item of classic framing. */
export function encodeClassic(item: Uint8Array): Buffer {
  return encodeItems("classic", "packets", item, [item.length]).bytes;
}

/** One control message of our own framing. */
export function encodeControl(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(ownHeader + message.length);
  bytes.writeUInt32BE(kinds.control * 0x1000000 + message.length);
  bytes.set(message, ownHeader);
  return bytes;
}

export interface FrameSink {
  /** Items one behind the other, of one kind; the memory is the receiver's. */
  onItems(kind: number, data: Uint8Array, ends: Uint32Array): void;
  /**
   * Only in classic framing: each item before it is handed on. "take": it is not for the device; "own": and what follows is in our own
   * framing.
   */
  onClassicItem(item: Uint8Array): "pass" | "take" | "own";
}

/** Cuts a stream into items. What may be in it is bounded by what a length can say, so nothing needs to be believed. */
export class FrameReader {
  readonly #sink: FrameSink;
  #framing: Framing;
  #pending: Buffer = Buffer.alloc(0);
  /** How many bytes make the item whole that `#pending` begins; copies are made only then. */
  #parts: Buffer[] = [];
  #held = 0;
  #wanted = 0;

  constructor(sink: FrameSink, framing: Framing = "classic") {
    this.#sink = sink;
    this.#framing = framing;
  }

  /** Nothing is kept of an item whose rest has not come. */
  get between(): boolean {
    return this.#held === 0;
  }

  /**
   * @param chunk the reader's from here
   * @returns false when it can't go on: an item larger than there are any
   */
  read(chunk: Buffer): boolean {
    if (this.#held > 0) {
      this.#parts.push(chunk);
      this.#held += chunk.length;
      if (this.#held < this.#wanted) return true;
      this.#pending = Buffer.concat(this.#parts, this.#held);
      this.#parts = [];
      this.#held = 0;
    } else {
      this.#pending = chunk;
    }
    return this.#cut();
  }

  #cut(): boolean {
    const bytes = this.#pending;
    let at = 0;
    let run: Run | undefined;
    for (;;) {
      const own = this.#framing === "own";
      const header = own ? ownHeader : classicHeader;
      const left = bytes.length - at;
      if (left < header) {
        this.#keep(bytes, at, header);
        break;
      }
      const length = own ? bytes.readUIntBE(at + 1, 3) : bytes.readUInt16BE(at);
      if (own && length > maxOwnItem) return false;
      const kind = own ? (bytes[at] ?? 0) : kinds.packet;
      if (left < header + length) {
        this.#keep(bytes, at, header + length);
        break;
      }
      const start = at + header;
      at = start + length;
      if (!own && length > 0) {
        const what = this.#sink.onClassicItem(bytes.subarray(start, at));
        if (what === "own") this.#framing = "own";
        if (what !== "pass") continue;
      }
      if (run !== undefined && run.kind !== kind) {
        this.#hand(bytes, run);
        run = undefined;
      }
      run ??= { kind, start, end: start, ends: [] };
      // The headers between items go: the device's side wants them one behind the other.
      if (run.end !== start) bytes.copyWithin(run.end, start, at);
      run.end += length;
      run.ends.push(run.end - run.start);
    }
    if (run !== undefined) this.#hand(bytes, run);
    return true;
  }

  #hand(bytes: Buffer, run: Run): void {
    this.#sink.onItems(run.kind, bytes.subarray(run.start, run.end), Uint32Array.from(run.ends));
  }

  #keep(bytes: Buffer, at: number, wanted: number): void {
    const rest = bytes.subarray(at);
    // A copy: what was before it is handed on and changed.
    this.#parts = rest.length === 0 ? [] : [Buffer.from(rest)];
    this.#held = rest.length;
    this.#wanted = wanted;
    this.#pending = Buffer.alloc(0);
  }
}

interface Run {
  kind: number;
  start: number;
  end: number;
  ends: number[];
}
