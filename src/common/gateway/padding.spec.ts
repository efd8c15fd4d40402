import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ownCodec } from "./codec.js";
import { fanqiangCodec } from "./fanqiang.js";
import { encodeGatewayHello, parseGatewayHello } from "./hello.js";
import { paddedCodec, padMessage } from "./padded-codec.js";
import { noisePauseMs, paddedSize } from "./padding.js";

const few = [512, 1536, 16_000];

function joined(list: readonly Uint8Array[]): { data: Uint8Array; ends: number[] } {
  let end = 0;
  return { data: Buffer.concat(list), ends: list.map((one) => (end += one.length)) };
}

function decoded(messages: readonly Buffer[]): string[] {
  const items: string[] = [];
  for (const message of messages) {
    // A reader that knows of no padding.
    const whole = ownCodec.decode(message, {
      onItems(kind, data, ends) {
        let from = 0;
        for (const end of ends) {
          items.push(`${kind} ${Buffer.from(data.subarray(from, end)).toString("hex")}`);
          from = end;
        }
      },
      onControl: (control) => assert.equal(parseGatewayHello(control), undefined),
    });
    assert.equal(whole, true);
  }
  return items;
}

/** Packets of different kinds of traffic: sizes that name it. */
const traffic: Readonly<Record<string, readonly number[]>> = {
  keystrokes: [52, 53, 60, 88],
  acknowledgements: Array(30).fill(40),
  calls: [200, 214, 172, 200, 188],
  downloads: Array(60).fill(1500),
  mixed: [40, 1500, 576, 1280, 41, 1500, 1500, 333],
};

test("messages have few sizes, the same for all traffic, in both protocols", () => {
  for (const codec of [paddedCodec, fanqiangCodec({ end: "gateway", padding: true })]) {
    for (const [name, sizes] of Object.entries(traffic)) {
      for (const batch of [1, 3, sizes.length]) {
        const { data, ends } = joined(sizes.slice(0, batch).map((size) => Buffer.alloc(size, 1)));
        for (const message of codec.encode("packets", data, ends))
          assert.ok(few.includes(message.length), `${name}: ${message.length}`);
      }
    }
    for (let i = 0; i < 50; i++) assert.ok(few.slice(0, 2).includes(codec.noise?.().length ?? 0));
  }
});

test("a full download costs a tenth more at the most", () => {
  const { data, ends } = joined(Array(160).fill(Buffer.alloc(1500)));
  const sent = paddedCodec.encode("packets", data, ends).reduce((sum, message) => sum + message.length, 0);
  assert.ok(sent < data.length * 1.1, `${sent}`);
});

test("a batch comes out as it went in, for a reader that knows of no padding", () => {
  const packet = fc.uint8Array({ minLength: 1, maxLength: 3000 });
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 20 }), (list) => {
      const { data, ends } = joined(list);
      const messages = paddedCodec.encode("packets", data, ends);
      for (const { length } of messages) assert.equal(length, paddedSize(length));
      const expected = list.map((one) => `packets ${Buffer.from(one).toString("hex")}`);
      assert.deepEqual(decoded(messages), expected);
    }),
  );
  assert.deepEqual(decoded([paddedCodec.noise?.() ?? Buffer.alloc(1)]), []);
  // Larger than any full message.
  const large = joined([Buffer.alloc(40), Buffer.alloc(60_000), Buffer.alloc(40)]);
  assert.deepEqual(
    paddedCodec.encode("packets", large.data, large.ends).map(({ length }) => length),
    [512, 64_000, 512],
  );
});

test("a hello is filled up, and still one", () => {
  const hello = {
    addresses: ["10.91.0.2/30"],
    gateways: ["10.91.0.1"],
    mtu: 1500,
    dns: [],
    routes: [],
    resume: "abc",
    keepAliveSeconds: 20,
  };
  const message = padMessage(encodeGatewayHello(hello));
  assert.equal(message.length, 512);
  const seen: unknown[] = [];
  ownCodec.decode(message, {
    onItems: () => assert.fail(),
    onControl: (one) => seen.push(parseGatewayHello(one)),
  });
  assert.deepEqual(seen, [hello, undefined]);
});

test("pauses between messages that hold nothing are random within their bounds", () => {
  const pauses = Array.from({ length: 1000 }, noisePauseMs);
  assert.ok(pauses.every((ms) => ms >= 100 && ms <= 1000));
  const tenths = new Set(pauses.map((ms) => Math.floor((ms - 100) / 100)));
  assert.ok(tenths.size >= 9, "spread over all of them");
});
