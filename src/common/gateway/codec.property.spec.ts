import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type GatewayItems, ownCodec } from "./codec.js";
import { encodeGatewayHello, type GatewayHello, parseGatewayHello } from "./hello.js";

const hello: GatewayHello = {
  addresses: ["10.91.0.2/30", "fd00::1/127"],
  gateways: ["10.91.0.1", "fd00::"],
  mtu: 1500,
  dns: ["192.0.2.53"],
  routes: ["0.0.0.0/0", "::/0"],
  resume: "abc",
  keepAliveSeconds: 20,
};

function joined(list: readonly Uint8Array[]): { data: Uint8Array; ends: number[] } {
  let end = 0;
  return { data: Buffer.concat(list), ends: list.map((one) => (end += one.length)) };
}

/** What comes out of messages, as text. */
function decoded(messages: readonly Buffer[]): { items: string[]; controls: string[]; whole: boolean } {
  const items: string[] = [];
  const controls: string[] = [];
  const whole = messages.every((message) =>
    ownCodec.decode(message, {
      onItems(kind, data, ends) {
        let from = 0;
        for (const end of ends) {
          items.push(`${kind} ${Buffer.from(data.subarray(from, end)).toString("hex")}`);
          from = end;
        }
      },
      onControl: (message) => controls.push(Buffer.from(message).toString("hex")),
    }),
  );
  return { items, controls, whole };
}

const packets = fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { maxLength: 12 });
const kind = fc.constantFrom<GatewayItems>("packets", "supers");

test("a batch comes out as it went in", () => {
  fc.assert(
    fc.property(packets, kind, (list, items) => {
      const { data, ends } = joined(list);
      const out = decoded(ownCodec.encode(items, data, ends));
      assert.deepEqual(
        out.items,
        list.map((one) => `${items} ${Buffer.from(one).toString("hex")}`),
      );
      assert.equal(out.whole, true);
    }),
  );
});

test("a message that was cut off is none, and nothing of it is read twice", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 5 }),
      fc.nat(),
      (list, cut) => {
        const { data, ends } = joined(list);
        const [message = Buffer.alloc(0)] = ownCodec.encode("packets", data, ends);
        const at = 1 + (cut % (message.length - 1));
        const whole = ends.map((end, i) => end + 4 * (i + 1)).includes(at);
        assert.equal(decoded([Buffer.from(message.subarray(0, at))]).whole, whole);
      },
    ),
  );
});

test("whatever a stranger sends, reading ends", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      decoded([Buffer.from(bytes)]);
      parseGatewayHello(bytes);
    }),
  );
});

test("a hello is a control message of its own", () => {
  const { controls } = decoded([encodeGatewayHello(hello)]);
  assert.equal(controls.length, 1);
  assert.deepEqual(parseGatewayHello(Buffer.from(controls[0] ?? "", "hex")), hello);
});

test("a hello that makes no sense is none", () => {
  const with_ = (change: object): Uint8Array =>
    Buffer.concat([Buffer.of(3), Buffer.from(JSON.stringify({ ...hello, ...change }))]);
  assert.notEqual(parseGatewayHello(with_({})), undefined);
  for (const change of [
    { addresses: [] },
    { addresses: ["10.0.0.1"] },
    { addresses: ["10.0.0.1/8", "10.0.0.2/8", "10.0.0.3/8"] },
    { mtu: 100 },
    { mtu: 1e9 },
    { routes: ["all"] },
    { resume: 7 },
    { keepAliveSeconds: 0 },
  ]) {
    assert.equal(parseGatewayHello(with_(change)), undefined, JSON.stringify(change));
  }
  assert.equal(parseGatewayHello(Buffer.from("\u0003{")), undefined);
  assert.equal(parseGatewayHello(with_({ resume: "x".repeat(20_000) })), undefined);
});
