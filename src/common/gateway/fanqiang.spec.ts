import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFanqiangHello, fanqiangCodec, largestFanqiangPacket, parseFanqiangHello } from "./fanqiang.js";
import { paddedSize } from "./padding.js";

const gateway = fanqiangCodec({ end: "gateway", padding: false });
const client = ["10.91.0.6/30", "fd76:706e:6477::3/127"];

/** Items that a message holds, as hex. */
function items(codec: typeof gateway, message: Buffer): string[] {
  const found: string[] = [];
  const whole = codec.decode(message, {
    onItems(_, data, ends) {
      assert.equal(ends.length, 1);
      assert.equal(ends[0], data.length);
      found.push(Buffer.from(data).toString("hex"));
    },
    onControl: (control) => found.push(`control ${Buffer.from(control).toString("latin1")}`),
  });
  assert.equal(whole, true);
  return found;
}

test("a packet is a message: the top bit and the length, then the packet", () => {
  const [first, second, ...more] = gateway.encode("packets", Buffer.from("4500aabb60cc", "hex"), [4, 6]);
  assert.deepEqual(more, []);
  assert.deepEqual(first, Buffer.from("80044500aabb", "hex"));
  assert.deepEqual(second, Buffer.from("800260cc", "hex"));
  assert.deepEqual(
    gateway.encode("packets", Buffer.alloc(largestFanqiangPacket + 1), [largestFanqiangPacket + 1]),
    [],
  );
});

test("what the original takes is taken: padding, noise, and a length without the top bit", () => {
  assert.deepEqual(items(gateway, Buffer.from("8002aabb0000", "hex")), ["aabb"]);
  assert.deepEqual(items(gateway, Buffer.alloc(0)), []);
  assert.deepEqual(items(gateway, Buffer.from("0002aabb", "hex")), []);
  const long = Buffer.alloc(0x102, 7);
  long.writeUInt16BE(0x100);
  assert.deepEqual(items(gateway, long), ["07".repeat(0x100)]);
});

test("what kills the original is an empty packet, to be counted as malformed", () => {
  for (const hex of ["80", "8000", "8003aabb", "7fff60", "ff"])
    assert.deepEqual(items(gateway, Buffer.from(hex, "hex")), [""], hex);
});

test("the hello names subnets as the original writes them, and a client knows its ends", () => {
  const message = encodeFanqiangHello(client, false);
  assert.equal(message.toString("latin1", 2), "10.91.0.4/30,fd76:706e:6477:0:0:0:0:2/127");
  assert.equal(message.readUInt16BE(), 0x8000 + message.length - 2);
  const reader = fanqiangCodec({ end: "client", padding: false });
  assert.deepEqual(items(reader, Buffer.of(0)), [], "noise comes before it");
  const [control = ""] = items(reader, message);
  assert.equal(control, "control 10.91.0.4/30,fd76:706e:6477:0:0:0:0:2/127");
  const hello = parseFanqiangHello(Buffer.from(control.slice("control ".length)));
  assert.deepEqual(hello?.addresses, client);
  assert.deepEqual(hello?.gateways, ["10.91.0.5", "fd76:706e:6477::2"]);
  assert.deepEqual(items(reader, Buffer.from("8001aa", "hex")), ["aa"], "packets follow");
});

test("the original's own hello, as it was seen", () => {
  const text = "10.0.101.0/30,fd00:1234:0:0:0:0:1:0/127";
  const hello = parseFanqiangHello(Buffer.from(text));
  assert.deepEqual(hello?.addresses, ["10.0.101.2/30", "fd00:1234::1:1/127"]);
  assert.deepEqual(hello?.routes, ["0.0.0.0/0", "::/0"]);
  assert.equal(text.length, 39);
});

test("a hello that makes no sense is none", () => {
  for (const text of [
    "",
    "x",
    "10.0.0.0",
    "10.0.0.0/31",
    "fd00::/127",
    "10.0.0.0/30,10.0.0.4/30",
    "10.0.0.0/30,fd00::/127,",
    `10.0.0.0/30${" ".repeat(200)}`,
  ])
    assert.equal(parseFanqiangHello(Buffer.from(text)), undefined, text);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 250 }), (bytes) => void parseFanqiangHello(bytes)));
});

test("a batch comes out as it went in, padded or not, whatever is sent", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 2000 }), { maxLength: 8 }),
      fc.boolean(),
      (list, padding) => {
        let end = 0;
        const ends = list.map((one) => (end += one.length));
        const codec = fanqiangCodec({ end: "gateway", padding });
        const messages = codec.encode("packets", Buffer.concat(list), ends);
        for (const message of messages) if (padding) assert.equal(message.length, paddedSize(message.length));
        assert.deepEqual(
          messages.flatMap((message) => items(codec, message)),
          list.map((one) => Buffer.from(one).toString("hex")),
        );
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void items(gateway, Buffer.from(bytes))),
  );
});

test("noise holds nothing", () => {
  for (const padding of [false, true]) {
    const noise = fanqiangCodec({ end: "gateway", padding }).noise?.() ?? Buffer.of(0x80);
    assert.deepEqual(items(gateway, noise), []);
  }
  assert.equal(fanqiangCodec({ end: "client", padding: false }).noise, undefined);
});
