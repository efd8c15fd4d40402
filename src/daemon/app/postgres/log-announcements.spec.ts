import assert from "node:assert/strict";
import { test } from "node:test";
import { signingKey } from "../../core/keys/ed25519.js";
import { PrefixTable } from "../../core/postgres/prefix-table.js";
import { LogAnnouncements, type LogPeer } from "./log-announcements.js";

const keys = [signingKey(Buffer.alloc(32, 1)), signingKey(Buffer.alloc(32, 2))] as const;
const [one, two]: [LogPeer, LogPeer] = [
  { node: 1, session: 11n },
  { node: 2, session: 12n },
];
const what = { exit: { v4: true, v6: false }, routes: ["192.168.7.0/24"] };

function pair() {
  let changes = 0;
  const a = new LogAnnouncements("office", keys[0], () => {});
  const b = new LogAnnouncements("office", keys[1], () => {
    changes += 1;
  });
  return { a, b, changes: () => changes };
}

test("an announcement is said again until it is acknowledged, and again when it changes or the peer is a new one", () => {
  const { a, b, changes } = pair();
  const said: Uint8Array[] = [];
  const tell = (peer = two): number => {
    const before = said.length;
    a.tell(one.session, [peer], (_, message) => said.push(message));
    return said.length - before;
  };
  assert.equal(tell(), 0);
  assert.ok(a.set(what));
  assert.ok(!a.set({ ...what }));
  assert.deepEqual([tell(), tell()], [1, 1]);
  const answers: Uint8Array[] = [];
  b.hear(one, said[0] ?? new Uint8Array(0), (_, answer) => answers.push(answer));
  assert.deepEqual(b.heardOf(1), { nodeKey: Buffer.from(keys[0].publicKey).toString("hex"), what });
  assert.equal(b.nodeOf(b.heardOf(1)?.nodeKey ?? ""), 1);
  assert.equal(changes(), 1);
  for (const answer of answers) a.hear(two, answer, () => {});
  assert.equal(tell(), 0);
  assert.equal(tell({ ...two, session: 13n }), 1);
  a.set({ ...what, routes: [] });
  assert.equal(tell(), 1);
  b.stop();
});

test("an announcement of another session, network or key is not believed", () => {
  const { a, b } = pair();
  a.set(what);
  const said: Buffer[] = [];
  a.tell(one.session, [two], (_, message) => said.push(Buffer.from(message)));
  const [message = Buffer.alloc(0)] = said;
  b.hear({ ...one, session: 99n }, message, () => assert.fail("acknowledged"));
  new LogAnnouncements("other", keys[1], () => {}).hear(one, message, () => assert.fail("acknowledged"));
  for (let at = 0; at < message.length; at++) {
    const altered = Buffer.from(message);
    altered[at] = altered.readUInt8(at) ^ 1;
    b.hear(one, altered, () => assert.fail(`acknowledged with byte ${at} changed`));
  }
  assert.equal(b.heardOf(1), undefined);
});

test("the longest prefix counts", () => {
  const table = new PrefixTable<number>([
    ["0.0.0.0/0", 1],
    ["10.20.0.0/15", 2],
    ["10.21.7.128/25", 3],
    ["fd00::/9", 4],
  ]);
  const find = (...bytes: number[]): number | undefined => table.find(Uint8Array.from(bytes));
  assert.deepEqual(
    [find(8, 8, 8, 8), find(10, 20, 1, 1), find(10, 21, 7, 127), find(10, 21, 7, 128), find(10, 22, 0, 0)],
    [1, 2, 2, 3, 1],
  );
  assert.equal(table.find(Uint8Array.from([0xfd, 0x70, ...Array(14).fill(0)])), 4);
  assert.equal(table.find(Uint8Array.from([0xfd, 0x80, ...Array(14).fill(0)])), undefined);
  assert.ok(table.has(Uint8Array.from([10, 21, 7, 129]), 1));
  assert.ok(!table.has(Uint8Array.from([10, 22, 0, 1]), 2));
});
