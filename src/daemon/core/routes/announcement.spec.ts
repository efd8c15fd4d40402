import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { maxControlBytes } from "../engine.js";
import {
  type Announcement,
  decodeMessage,
  encodeAck,
  encodeAnnouncement,
  maxAnnouncedRoutes,
} from "./announcement.js";

const bare: Announcement = { exit: { v4: false, v6: false }, routes: [] };

function message(body: unknown): Uint8Array {
  const head = encodeAck(7n);
  head[0] = 0x20;
  return Buffer.concat([head, Buffer.from(typeof body === "string" ? body : JSON.stringify(body))]);
}

test("what is encoded is decoded", () => {
  const what: Announcement = {
    name: "gw-a",
    exit: { v4: true, v6: false },
    routes: ["10.99.1.0/24", "fd00:1::/64"],
  };
  assert.deepEqual(decodeMessage(encodeAnnouncement(2n ** 60n, what)), {
    kind: "announce",
    sequence: 2n ** 60n,
    what,
  });
  assert.deepEqual(decodeMessage(encodeAck(3n)), { kind: "ack", sequence: 3n });
});

test("the longest announcement fits into a control message", () => {
  const routes = Array.from(
    { length: maxAnnouncedRoutes },
    (_, i) => `fd00:1111:2222:3333:4444:5555:6666:${(0xff00 + i).toString(16)}/128`,
  );
  const seen = ["203.203.203.203", "2001:1111:2222:3333:4444:5555:6666:7777"];
  const what = { name: "a".repeat(63), exit: { v4: false, v6: false, seen }, routes };
  const data = encodeAnnouncement(2n ** 63n, what);
  assert.ok(data.length <= maxControlBytes, `${data.length}`);
  assert.equal(decodeMessage(data)?.kind, "announce");
});

test("unknown members are ignored, missing ones have defaults, the same prefix counts once", () => {
  const decoded = decodeMessage(message({ more: [1], routes: ["10.0.0.0/8", "10.0.0.0/8"] }));
  assert.deepEqual(decoded, { kind: "announce", sequence: 7n, what: { ...bare, routes: ["10.0.0.0/8"] } });
});

const malformed: Record<string, unknown> = {
  "no JSON": "{",
  "no object": "[]",
  "a default route": { routes: ["0.0.0.0/0"] },
  "host bits": { routes: ["10.0.0.1/24"] },
  "not canonical": { routes: ["FD00::/64"] },
  "a multicast prefix": { routes: ["224.0.0.0/8"] },
  "a loopback prefix": { routes: ["127.0.0.0/8"] },
  "too many routes": { routes: Array.from({ length: maxAnnouncedRoutes + 1 }, (_, i) => `10.${i}.0.0/16`) },
  "a route that is no text": { routes: [1] },
  "an outside address that is none": { exit: { seen: ["here"] } },
  "too many outside addresses": { exit: { seen: ["192.0.2.1", "192.0.2.2", "192.0.2.3"] } },
  "routes that are no list": { routes: "10.0.0.0/8" },
  "a name that is no label": { name: "a b" },
  "an exit that is no object": { exit: true },
  "an exit that is no boolean": { exit: { v4: 1 } },
};

for (const [what, body] of Object.entries(malformed))
  test(`${what}: the whole message is ignored`, () => assert.equal(decodeMessage(message(body)), undefined));

test("another version, a short and an oversized message are ignored", () => {
  const data = encodeAnnouncement(1n, bare);
  const other = Uint8Array.from(data);
  other[1] = 2;
  assert.equal(decodeMessage(other), undefined);
  assert.equal(decodeMessage(data.subarray(0, 9)), undefined);
  assert.equal(decodeMessage(message(`{"more":"${"x".repeat(maxControlBytes)}"}`)), undefined);
  assert.equal(decodeMessage(message(Buffer.from([0x7b, 0xff, 0x7d]).toString("latin1"))), undefined);
});

test("no bytes make the decoder throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (bytes, start) => {
      decodeMessage(start ? Uint8Array.from([0x20, 1, ...bytes]) : bytes);
    }),
  );
});
