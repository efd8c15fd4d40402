import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { signingKey } from "./ed25519.js";
import { buildNodeRecord, openNodeRecord } from "./node-record.js";
import { networkKeys } from "./schedule.js";

const keys = networkKeys(new Uint8Array(32).fill(7), false);
const node = signingKey(new Uint8Array(32).fill(1));
const nonce = new Uint8Array(12).fill(3);
const ipv4 = fc.tuple(fc.nat({ max: 223 }), fc.nat({ max: 255 })).map(([a, b]) => `10.${a}.${b}.1`);
const draft = fc.record(
  {
    virtualIps: fc.uniqueArray(ipv4, { minLength: 1, maxLength: 4 }),
    name: fc.stringMatching(/^[A-Za-z0-9-]{1,63}$/),
    endpoints: fc.array(fc.constantFrom("192.0.2.1:4400", "[2001:db8::9]:1"), { maxLength: 4 }),
    routes: fc.array(fc.record({ address: ipv4, length: fc.nat({ max: 32 }) }, { noNullPrototype: true }), {
      maxLength: 4,
    }),
    sequence: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    ttlSeconds: fc.nat({ max: 2 ** 31 - 1 }),
  },
  { requiredKeys: ["virtualIps", "sequence", "ttlSeconds"], noNullPrototype: true },
);

test("any record opens to what was put in, under its own keys only", () => {
  const others = networkKeys(new Uint8Array(32).fill(8), false);
  fc.assert(
    fc.property(draft, (contents) => {
      const bytes = buildNodeRecord(contents, node, keys, nonce);
      const expected = { endpoints: [], routes: [], ...contents, nodeKey: node.publicKey };
      const got = openNodeRecord(bytes, keys);
      assert.ok(typeof got === "object");
      assert.deepEqual({ ...got, nodeKey: Uint8Array.from(got.nodeKey) }, expected);
      assert.equal(openNodeRecord(bytes, others), "signature");
    }),
  );
});

test("a record with any byte changed does not open to anything else", () => {
  fc.assert(
    fc.property(draft, fc.nat(), fc.integer({ min: 1, max: 255 }), (contents, at, change) => {
      const bytes = Uint8Array.from(buildNodeRecord(contents, node, keys, nonce));
      const original = openNodeRecord(bytes, keys);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ change;
      const got = openNodeRecord(bytes, keys);
      // The envelope's own framing is not signed, and some changes of it mean nothing.
      if (typeof got === "object") assert.deepEqual(got, original);
    }),
    { numRuns: 500 },
  );
});
