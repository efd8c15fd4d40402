/** How items go into WebSocket messages, and come out of them again. */
import { encodeItems, type FrameItems, FrameReader, kinds } from "../frames.js";

/** What a device of a gateway or of its client has. */
export type GatewayItems = Exclude<FrameItems, "frames">;

export interface CodecSink {
  /** Items for the device; the memory is the receiver's. */
  onItems(items: GatewayItems, data: Uint8Array, ends: Uint32Array): void;
  onControl(message: Uint8Array): void;
}

export interface GatewayCodec {
  /** Whole messages. @param ends of each item in `data`, as in `PacketBatch` */
  encode(items: GatewayItems, data: Uint8Array, ends: ArrayLike<number>): Buffer[];
  /** @param message the codec's from here @returns false when it is none of this protocol */
  decode(message: Buffer, sink: CodecSink): boolean;
  /** A message that says nothing, to be sent at random times. Absent: none are. */
  noise?(): Buffer;
}

/** Between own ends: a message is a batch, in the frames of a TCP link. */
export const ownCodec: GatewayCodec = {
  encode: (items, data, ends) => (ends.length === 0 ? [] : [encodeItems("own", items, data, ends).bytes]),
  decode(message, sink) {
    const reader = new FrameReader(
      {
        onItems(kind, data, ends) {
          if (kind === kinds.packet) sink.onItems("packets", data, ends);
          else if (kind === kinds.super) sink.onItems("supers", data, ends);
          else if (kind === kinds.control) eachItem(data, ends, (item) => sink.onControl(item));
        },
        onClassicItem: () => "pass",
      },
      "own",
    );
    return reader.read(message) && reader.between;
  },
};

function eachItem(data: Uint8Array, ends: Uint32Array, use: (item: Uint8Array) => void): void {
  let from = 0;
  for (const end of ends) {
    use(data.subarray(from, end));
    from = end;
  }
}
