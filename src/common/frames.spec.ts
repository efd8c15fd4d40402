import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  encodeClassic,
  encodeControl,
  encodeItems,
  FrameReader,
  kinds,
  maxOwnItem,
  roomFor,
} from "./frames.js";

interface Item {
  kind: number;
  bytes: string;
}

/** Reads a stream in pieces; `own` names the item after which our own framing begins. */
function readAll(pieces: readonly Uint8Array[], own?: string): { items: Item[]; whole: boolean } {
  const items: Item[] = [];
  const reader = new FrameReader({
    onItems: (kind, data, ends) => {
      let from = 0;
      for (const end of ends) {
        items.push({ kind, bytes: Buffer.from(data.subarray(from, end)).toString("hex") });
        from = end;
      }
      assert.equal(from, data.length);
    },
    onClassicItem: (item) => (Buffer.from(item).toString() === own ? "own" : "pass"),
  });
  const whole = pieces.every((piece) => reader.read(Buffer.from(piece)));
  return { items, whole };
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...at, bytes.length].map((end, index) => bytes.subarray(at[index - 1] ?? 0, end));
}

const items = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 12 });
const hex = (list: readonly Uint8Array[], kind: number): Item[] =>
  list.map((bytes) => ({ kind, bytes: Buffer.from(bytes).toString("hex") }));

function batch(list: readonly Uint8Array[]): { data: Uint8Array; ends: number[] } {
  let end = 0;
  return {
    data: Buffer.concat(list),
    ends: list.map((one) => {
      end += one.length;
      return end;
    }),
  };
}

test("the classic frame is simpletun's: two bytes of length, then the packet", () => {
  assert.deepEqual(encodeClassic(Buffer.from("abc")), Buffer.from("0003616263", "hex"));
});

test("classic items cross whatever the pieces are", () => {
  fc.assert(
    fc.property(items, fc.array(fc.nat(), { maxLength: 30 }), (list, cuts) => {
      const { data, ends } = batch(list);
      const { bytes, left } = encodeItems("classic", "packets", data, ends);
      assert.equal(left, 0);
      assert.deepEqual(readAll(split(bytes, cuts)).items, hex(list, kinds.packet));
    }),
  );
});

test("our own framing begins behind an item, and keeps kinds apart", () => {
  fc.assert(
    fc.property(items, items, fc.array(fc.nat(), { maxLength: 30 }), (packets, supers, cuts) => {
      const first = batch(packets);
      const second = batch(supers);
      const stream = Buffer.concat([
        encodeClassic(Buffer.from("before")),
        encodeClassic(Buffer.from("switch")),
        encodeItems("own", "packets", first.data, first.ends).bytes,
        encodeItems("own", "supers", second.data, second.ends).bytes,
        encodeControl(Buffer.from("control")),
      ]);
      const expected = [
        ...hex([Buffer.from("before")], kinds.packet),
        ...hex(packets, kinds.packet),
        ...hex(supers, kinds.super),
        ...hex([Buffer.from("control")], kinds.control),
      ];
      assert.deepEqual(readAll(split(stream, cuts), "switch").items, expected);
    }),
  );
});

test("what the buffer of a classic end has no room for is left out", () => {
  const { data, ends } = batch([Buffer.alloc(2000, 1), Buffer.alloc(2001, 2), Buffer.alloc(3, 3)]);
  const { bytes, left } = encodeItems("classic", "packets", data, ends);
  assert.equal(left, 1);
  assert.deepEqual(
    readAll([bytes]).items.map(({ bytes: item }) => item.length / 2),
    [2000, 3],
  );
  assert.equal(encodeItems("classic", "supers", data, ends).left, 3);
});

test("a length that nobody sends ends our own framing, and no length ends the classic one", () => {
  const tooLong = Buffer.alloc(4);
  tooLong.writeUInt32BE(maxOwnItem + 1);
  assert.equal(readAll([encodeClassic(Buffer.from("switch")), tooLong], "switch").whole, false);
  fc.assert(fc.property(fc.array(fc.uint8Array(), { maxLength: 20 }), (pieces) => readAll(pieces).whole));
});

test("an empty classic item is handed on, to be counted", () => {
  assert.deepEqual(readAll([Buffer.from("00000001ff", "hex")]).items, [
    { kind: kinds.packet, bytes: "" },
    { kind: kinds.packet, bytes: "ff" },
  ]);
});

test("frames go into memory that is given, whatever is in it, and are the same", () => {
  const data = Buffer.from("first, second and a third one");
  const ends = [5, 13, data.length];
  for (const framing of ["own", "classic"] as const) {
    const into = Buffer.alloc(roomFor(ends) + 7, 0xff);
    const { bytes } = encodeItems(framing, "packets", data, ends, into);
    assert.equal(bytes.buffer, into.buffer);
    assert.deepEqual(bytes, encodeItems(framing, "packets", data, ends).bytes);
  }
});
