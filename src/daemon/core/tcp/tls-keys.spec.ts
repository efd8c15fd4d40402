import assert from "node:assert/strict";
import { test } from "node:test";
import { linkIdentity, linkKey, pskOfIdentity } from "./tls-keys.js";

const psks = [1, 2].map((id) => ({ id, psk: new Uint8Array(32).fill(id), since: 0 }));
const [first, second] = psks;
const nonce = new Uint8Array(8).fill(9);

test("an identity leads to its PSK among several, and to no other", () => {
  assert.ok(first && second);
  assert.equal(pskOfIdentity(linkIdentity(second.psk, nonce), psks), second);
  assert.equal(pskOfIdentity(linkIdentity(second.psk, nonce), [first]), undefined);
  assert.equal(pskOfIdentity(linkIdentity(new Uint8Array(32), nonce), psks), undefined);
  for (const text of ["", "vpnd-link-", "badger", "x".repeat(300)]) {
    assert.equal(pskOfIdentity(text, psks), undefined);
  }
});

test("identities of one PSK differ, and the key of TLS is not the PSK", () => {
  assert.ok(first);
  assert.notEqual(linkIdentity(first.psk, nonce), linkIdentity(first.psk, new Uint8Array(8)));
  assert.notDeepEqual(linkKey(first.psk), first.psk);
});
