import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { signingKey, verifySignature } from "./ed25519.js";
import { buildNodeRecord, isNodeName, maxRecordBytes, openNodeRecord } from "./node-record.js";
import { networkKeys } from "./schedule.js";

const psk = new Uint8Array(32).fill(7);
const keys = networkKeys(psk, false);
const node = signingKey(new Uint8Array(32).fill(1));
const nonce = new Uint8Array(12).fill(3);
const draft = { virtualIps: ["10.0.0.10", "fd00::a"], name: "alpha", sequence: 5n, ttlSeconds: 3600 };
const record = buildNodeRecord(draft, node, keys, nonce);

test("Ed25519 keys from seeds match RFC 8032, test 1", () => {
  const key = signingKey(
    Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex"),
  );
  assert.equal(
    Buffer.from(key.publicKey).toString("hex"),
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  );
  const signature = key.sign(new Uint8Array());
  assert.match(Buffer.from(signature).toString("hex"), /^e5564300c360ac729086e2cc806e828a/);
  assert.ok(verifySignature(key.publicKey, new Uint8Array(), signature));
  assert.ok(!verifySignature(key.publicKey, new Uint8Array([1]), signature));
  assert.ok(!verifySignature(key.publicKey, new Uint8Array(), signature.subarray(1)));
  assert.ok(!verifySignature(new Uint8Array(32).fill(255), new Uint8Array(), signature));
});

test("a badger network uses the PSK's bytes for DTLS, others a derived key", () => {
  const weak = new TextEncoder().encode("hunter2");
  assert.deepEqual(networkKeys(weak, true).epoch.dtlsPsk, weak);
  assert.equal(keys.epoch.dtlsPsk.length, 32);
  assert.notDeepEqual(keys.epoch.dtlsPsk, psk);
  assert.match(new TextDecoder().decode(keys.epoch.probePsk), /^[0-9a-f]{64}$/);
  assert.equal(keys.networkId.length, 32);
});

test("a record opens to what was put in", () => {
  const opened = openNodeRecord(record, keys);
  assert.ok(typeof opened !== "string", String(opened));
  assert.deepEqual(opened.virtualIps, ["10.0.0.10", "fd00::a"]);
  assert.equal(opened.name, "alpha");
  assert.equal(opened.sequence, 5n);
  assert.deepEqual(opened.nodeKey, node.publicKey);
});

test("a record of another network is refused", () => {
  assert.equal(openNodeRecord(record, networkKeys(new Uint8Array(32), false)), "signature");
  // Same network id but other sealing key: signature holds, contents stay closed.
  assert.equal(openNodeRecord(record, { ...keys, recordsKey: new Uint8Array(32) }), "sealed");
});

test("no change of a bit changes what a record says", () => {
  const original = openNodeRecord(record, keys);
  for (let i = 0; i < record.length; i++) {
    const changed = record.slice();
    changed[i] = (changed[i] ?? 0) ^ 1;
    const opened = openNodeRecord(changed, keys);
    // The encoding itself has slack (wire types of known fields), the signed bytes have none.
    if (typeof opened !== "string") assert.deepEqual(opened, original, `byte ${i}`);
  }
});

test("hostile bytes never throw and never open", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: maxRecordBytes + 10 }), (bytes) => {
      assert.equal(typeof openNodeRecord(bytes, keys), "string");
    }),
    { numRuns: 300 },
  );
  assert.equal(openNodeRecord(new Uint8Array(maxRecordBytes + 1), keys), "size");
});

test("contents that nobody would accept are not built", () => {
  const refused = (change: object) =>
    assert.throws(() => buildNodeRecord({ ...draft, ...change }, node, keys, nonce), RangeError);
  refused({ virtualIps: [] });
  refused({ virtualIps: ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"] });
  refused({ name: "no spaces" });
  refused({ name: "x".repeat(64) });
  refused({ endpoints: new Array(17).fill("1.2.3.4:5") });
  refused({ virtualIps: ["::ffff:10.0.0.1"] });
  assert.throws(() => buildNodeRecord(draft, node, keys, new Uint8Array(3)), RangeError);
});

test("names are letters, digits and hyphens", () => {
  assert.ok(isNodeName("host-1"));
  for (const bad of ["", "a.b", "a_b", "a\n", "ä", "x".repeat(64)]) assert.ok(!isNodeName(bad), bad);
});
