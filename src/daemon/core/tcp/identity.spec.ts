import assert from "node:assert/strict";
import { test } from "node:test";
import { signingKey } from "../keys/ed25519.js";
import { encodeIdentity, readIdentity } from "./identity.js";

const key = signingKey(new Uint8Array(32).fill(7));
const context = {
  signer: new Uint8Array(16).fill(1),
  reader: new Uint8Array(16).fill(2),
  binding: new Uint8Array(32).fill(3),
};
const hex = Buffer.from(key.publicKey).toString("hex");

test("a node key is believed on its own connection", () => {
  assert.equal(readIdentity(encodeIdentity(key, context), context), hex);
});

test("an identity of another connection, or sent back, is not", () => {
  const bytes = encodeIdentity(key, context);
  assert.equal(readIdentity(bytes, { ...context, binding: new Uint8Array(0) }), undefined);
  assert.equal(readIdentity(bytes, { ...context, reader: new Uint8Array(16) }), undefined);
  const turned = { ...context, signer: context.reader, reader: context.signer };
  assert.equal(readIdentity(bytes, turned), undefined);
});

test("what is cut, changed or of another type is not", () => {
  const bytes = encodeIdentity(key, context);
  for (let at = 0; at < bytes.length; at++) {
    assert.equal(readIdentity(bytes.subarray(0, at), context), undefined);
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(readIdentity(changed, context), undefined);
  }
});
