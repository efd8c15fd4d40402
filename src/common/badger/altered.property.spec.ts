/** Datagrams of the Badger protocol with some bytes changed: what is still taken is canonical, and survives being sent on. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeHeartbeat, encodeHeartbeat } from "./heartbeat.js";
import { decodeMap, encodeMap } from "./map.js";

const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }) });
/** Bytes that mean something in JSON and addresses more often than others. */
const telling = fc.record({
  at: fc.nat(),
  byte: fc.constantFrom(...Buffer.from('{}[]",:.0123456789abcdef\\ -e')),
});
const changes = fc.array(fc.oneof(change, telling), { minLength: 1, maxLength: 6 });

function altered(bytes: Uint8Array, how: readonly { at: number; byte: number }[], cut: number): Uint8Array {
  const out = Uint8Array.from(bytes);
  for (const { at, byte } of how) out[at % out.length] = byte;
  return cut % 4 === 0 ? out.subarray(0, cut % (out.length + 1)) : out;
}

const address = fc.constantFrom("10.0.0.1", "10.255.255.255", "fd00::1", "2001:db8:1:2:3:4:5:6");
const node = fc.record(
  {
    virtualIp: address,
    publicIp: fc.constantFrom("192.0.2.1:4400", "[2001:db8::9]:1"),
    privateIp: fc.record({ address, port: fc.integer({ min: 1, max: 65_535 }) }, { noNullPrototype: true }),
  },
  { requiredKeys: ["virtualIp", "publicIp"], noNullPrototype: true },
);

describe("altered Badger datagrams", () => {
  it("heartbeat", () => {
    fc.assert(
      fc.property(node, changes, fc.nat(), ({ virtualIp, privateIp }, how, cut) => {
        const sent = privateIp === undefined ? { virtualIp } : { virtualIp, privateIp };
        const got = decodeHeartbeat(altered(encodeHeartbeat(sent), how, cut));
        if (got.ok) assert.deepEqual(decodeHeartbeat(encodeHeartbeat(got.value)), got);
      }),
      { numRuns: 2000 },
    );
  });

  it("map", () => {
    fc.assert(
      fc.property(fc.array(node, { minLength: 1, maxLength: 4 }), changes, fc.nat(), (nodes, how, cut) => {
        const got = decodeMap(altered(encodeMap(nodes, 0), how, cut));
        if (!got.ok) return;
        assert.ok(got.value.nodes.length <= nodes.length);
        const { myIndex } = got.value;
        assert.ok(myIndex === undefined || myIndex < got.value.nodes.length);
        if (myIndex !== undefined) assert.deepEqual(decodeMap(encodeMap(got.value.nodes, myIndex)), got);
      }),
      { numRuns: 2000 },
    );
  });
});
