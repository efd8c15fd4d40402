import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { generatePsk } from "../../common/psk.js";
import { redact, redactDocument } from "./redact.js";

const key = (): Uint8Array => new Uint8Array(randomBytes(32));

test("keys are taken out, in whatever form and wherever they stand", () => {
  const raw = Buffer.from(key());
  for (const secret of [
    generatePsk(raw),
    raw.toString("hex"),
    raw.toString("hex").toUpperCase(),
    raw.toString("base64"),
    raw.toString("base64url"),
  ])
    for (const frame of ["X", "key X used", '{"a":"X"}', "k=X;", "(X)", "--psk-file X", 'vip = "X" # X']) {
      const { text, removed } = redact(frame.replaceAll("X", () => secret));
      assert.ok(!text.includes(secret), `${frame}: ${text}`);
      assert.ok(Object.keys(removed).length > 0);
    }
});

test("what a secret's name stands before is taken out, however weak it is", () => {
  for (const line of [
    "psk = hunter2",
    'psk="hunter2"',
    '{"psk":"hunter2","x":1}',
    "PASSWORD: hunter2",
    "db_password = 'hunter2'",
    "auth.token=hunter2",
    "vpnctl join --psk hunter2 --vip 10.0.0.1/24",
    "postgres://me:hunter2@host/db",
    "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
    '"nodeSeed": "hunter2"',
    'psk = "a\\"hunter2"',
  ])
    assert.doesNotMatch(redact(line).text, /hunter2/, line);
});

test("what is no secret stays", () => {
  for (const line of [
    'psk_file = "/etc/vpnd/home.key"',
    "10.0.0.2 dev vpn-home proto kernel scope link src 10.0.0.1",
    "inet6 2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff/64 scope global",
    "vpnctl join home --psk-file /etc/key --vip 10.0.0.1/24",
    '{"level":"info","fingerprint":"abcd2345","msg":"network joined"}',
  ])
    assert.deepEqual(redact(line), { text: line, removed: {} });
});

test("redacting again changes nothing", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const once = redact(text).text;
      assert.equal(redact(once).text, once);
    }),
  );
});

test("hostile text does not take long", () => {
  for (const unit of ["a.", "-", "psk_", 'psk="', "a://", "A", "vpsk1_", "-----BEGIN A PRIVATE KEY-----"]) {
    const text = unit.repeat(200_000 / unit.length);
    const started = performance.now();
    redact(text);
    // Milliseconds if the time grows with the length; minutes if it grows with its square.
    assert.ok(performance.now() - started < 5_000, unit);
  }
});

test("documents lose what tells of keys and keep node keys", () => {
  const node = Buffer.from(key()).toString("hex");
  const { value, removed } = redactDocument({ peers: [{ nodeKey: node, pskFingerprint: "abcd2345" }], n: 1 });
  assert.deepEqual(value, { peers: [{ nodeKey: node, pskFingerprint: "[removed]" }], n: 1 });
  assert.equal(removed, 1);
});
