import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "./errors.js";
import { derivePskKey, fingerprint, generatePsk, isWeak, parsePsk } from "./psk.js";

const random = new Uint8Array(32).map((_, i) => i * 7);
const text = (s: string) => new TextEncoder().encode(s);

const usage = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof VpnError);
  assert.equal(error.code, "usage");
  assert.match(error.message, pattern);
  assert.match(error.hint ?? "", /vpnctl psk generate/);
  return true;
};

test("a generated key parses to its random bytes, trailing white space or not", () => {
  const psk = generatePsk(random);
  assert.match(psk, /^vpsk1_[A-Za-z0-9_-]{48}$/);
  assert.deepEqual(parsePsk(text(psk), { badger: false }), random);
  assert.deepEqual(parsePsk(text(`${psk} \r\n\n`), { badger: false }), random);
  assert.equal(isWeak(text(psk)), false);
});

test("32 bytes in hex or base64 are taken", () => {
  for (const form of ["hex", "base64", "base64url"] as const) {
    const typed = text(`${Buffer.from(random).toString(form)}\n`);
    assert.deepEqual(parsePsk(typed, { badger: false }), random);
  }
});

test("each single mistyped character is noticed", () => {
  const psk = generatePsk(random);
  for (let i = 6; i < psk.length; i++) {
    const wrong = psk.slice(0, i) + (psk[i] === "A" ? "B" : "A") + psk.slice(i + 1);
    assert.throws(() => parsePsk(text(wrong), { badger: false }), usage(/checksum/));
  }
});

test("bad keys are refused with what is wrong", () => {
  const refused = (typed: string, pattern: RegExp) =>
    assert.throws(() => parsePsk(text(typed), { badger: false }), usage(pattern));
  refused("", /empty/);
  refused(" \n", /empty/);
  refused("hunter2", /too weak/);
  refused(generatePsk(random).slice(0, -3), /cut or too long: 45/);
  refused(`${generatePsk(random)}A`, /cut or too long/);
  refused(`vpsk1_${"ä".repeat(24)}`, /character/);
  refused("x".repeat(100_000), /too weak/);
});

test("a badger network takes bytes as typed, less one newline", () => {
  assert.deepEqual(parsePsk(text("hunter2\n"), { badger: true }), text("hunter2"));
  assert.deepEqual(parsePsk(text("hunter2\r\n"), { badger: true }), text("hunter2"));
  assert.deepEqual(parsePsk(text("hunter2 \n\n"), { badger: true }), text("hunter2 \n"));
  const psk = generatePsk(random);
  assert.deepEqual(parsePsk(text(psk), { badger: true }), text(psk));
  assert.throws(() => parsePsk(text("\n"), { badger: true }), usage(/empty/));
  assert.throws(() => parsePsk(text("x".repeat(257)), { badger: true }), usage(/257 bytes/));
  assert.equal(parsePsk(text("x".repeat(256)), { badger: true }).length, 256);
  assert.ok(isWeak(text("hunter2")));
});

test("fingerprints are 8 characters and differ between keys; labels give independent keys", () => {
  assert.match(fingerprint(random), /^[a-z2-7]{8}$/);
  assert.notEqual(fingerprint(random), fingerprint(new Uint8Array(32)));
  assert.notDeepEqual(derivePskKey(random, "dtls psk"), derivePskKey(random, "probe"));
});

test("derivation is HKDF as docs/wire.md says (vector made with another implementation)", () => {
  const psk = new Uint8Array(32);
  assert.equal(
    Buffer.from(derivePskKey(psk, "network id")).toString("hex"),
    "6f59142af00e1e314a9bfc6b20ccbecdd245169addaf93376bf9febc8ee91f8e",
  );
  assert.equal(fingerprint(psk), "3adek6lv");
});
