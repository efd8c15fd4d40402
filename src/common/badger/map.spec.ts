import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeMap, encodeMap, encodeMapNode, encodeMapTail, joinMapNodes, mapSize } from "./map.js";

const decode = (text: string) => decodeMap(Buffer.from(text));
const malformed = { ok: false, reason: "malformed" };

const address = fc.constantFrom("10.0.0.1", "10.255.255.255", "fd00::1", "2001:db8:1:2:3:4:5:6");
const port = fc.integer({ min: 1, max: 65535 });
const node = fc.record(
  {
    virtualIp: address,
    publicIp: port.map((p) => `192.0.2.1:${p}`),
    privateIp: fc.record({ address, port }, { requiredKeys: ["address"], noNullPrototype: true }),
  },
  { requiredKeys: ["virtualIp", "publicIp"], noNullPrototype: true },
);

describe("map", () => {
  it("is written as the paper has it", () => {
    const text = Buffer.from(
      encodeMap(
        [
          {
            virtualIp: "10.0.0.10",
            privateIp: { address: "192.168.10.100", port: 3000 },
            publicIp: "192.0.2.1:4400",
          },
        ],
        0,
      ),
    ).toString();
    assert.equal(
      text,
      '{"Nodes":[{"VirtualIP":"10.0.0.10","PrivateIP":"192.168.10.100:3000","PublicIP":"192.0.2.1:4400"}],"MyIndex":0}',
    );
  });

  it("is read with the misspelt key of the paper's sample", () => {
    assert.deepEqual(
      decode('{"Nodes":[{"VirutalIP":"10.0.0.10","PrivateIP":"","PublicIP":"1.1.1.1:4400"}],"MyIndex":0}'),
      {
        ok: true,
        value: { nodes: [{ virtualIp: "10.0.0.10", publicIp: "1.1.1.1:4400" }], myIndex: 0 },
      },
    );
  });

  it("leaves out nodes that make no sense and keeps its own place", () => {
    const text = JSON.stringify({
      Nodes: [
        { VirtualIP: "", PrivateIP: "", PublicIP: "1.1.1.1:1" },
        7,
        { VirtualIP: "10.0.0.1", PrivateIP: "nonsense", PublicIP: "1.1.1.1:1" },
        { VirtualIP: "10.0.0.3", PublicIP: "0.0.0.0:1" },
        { VirtualIP: "10.0.0.4", PublicIP: "1.1.1.1:0" },
        { VirtualIP: "10.0.0.2", PublicIP: "[::ffff:1.1.1.2]:2" },
      ],
      MyIndex: 5,
    });
    assert.deepEqual(decode(text), {
      ok: true,
      value: {
        nodes: [
          { virtualIp: "10.0.0.1", publicIp: "1.1.1.1:1" },
          { virtualIp: "10.0.0.2", publicIp: "1.1.1.2:2" },
        ],
        myIndex: 1,
      },
    });
  });

  it("has no place of its own if the index points nowhere", () => {
    for (const index of ["-1", "1", "0.5", '"0"', "null", "1e99"]) {
      const decoded = decode(
        `{"Nodes":[{"VirtualIP":"10.0.0.1","PublicIP":"1.1.1.1:1"}],"MyIndex":${index}}`,
      );
      assert.deepEqual(
        decoded,
        { ok: true, value: { nodes: [{ virtualIp: "10.0.0.1", publicIp: "1.1.1.1:1" }] } },
        index,
      );
    }
  });

  it("refuses what no server would say", () => {
    for (const text of [
      "",
      "[]",
      "{}",
      '{"Nodes":{}}',
      '{"Nodes":"x"}',
      '{"Nodes":null,"MyIndex":0}',
      "{".repeat(60_000),
    ])
      assert.deepEqual(decode(text), malformed, text.slice(0, 40));
    assert.deepEqual(decode(`{"Nodes":[${"0,".repeat(5000)}0]}`), malformed);
    assert.deepEqual(decodeMap(Buffer.alloc(65_508, "{")), { ok: false, reason: "oversize" });
  });

  it("reads back what it writes, whole or in parts, with the size foretold", () => {
    fc.assert(
      fc.property(fc.array(node, { minLength: 1, maxLength: 30 }), fc.nat(), (nodes, at) => {
        const myIndex = at % nodes.length;
        const whole = encodeMap(nodes, myIndex);
        assert.deepEqual(decodeMap(whole), { ok: true, value: { nodes, myIndex } });
        const parts = nodes.map(encodeMapNode);
        const last = Buffer.concat([joinMapNodes(parts), encodeMapTail(nodes.length - 1)]);
        const bytes = parts.reduce((sum, part) => sum + part.length, 0);
        assert.equal(last.length, mapSize(nodes.length, bytes));
        assert.deepEqual(decodeMap(last), { ok: true, value: { nodes, myIndex: nodes.length - 1 } });
      }),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (data) => void decodeMap(data)));
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.jsonValue(), (nodes, index) => {
        assert.ok(decode(JSON.stringify({ Nodes: nodes, MyIndex: index })).ok);
      }),
    );
  });
});
