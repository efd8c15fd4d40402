import assert from "node:assert/strict";
import { test } from "node:test";
import { accessOf, type Caller } from "./access.js";
import { isDryRun, networkOfChange, withoutFingerprints } from "./audit.js";
import { commandName, methodKind } from "./methods.js";
import { ReaderLimit } from "./reader-limit.js";

const somebody: Caller = { pid: 9, uid: 1000, gid: 1000, groups: [27, 1000] };
const policy = { ownUid: 990, group: 50, readAccess: "group" } as const;

test("root, vpnd's own user and members of the group may do everything", () => {
  for (const who of [{ uid: 0 }, { uid: 990 }, { gid: 50 }, { groups: [1, 50] }])
    assert.equal(accessOf({ ...somebody, ...who }, policy), "write", JSON.stringify(who));
});

test("everybody else is kept out, or may look", () => {
  assert.equal(accessOf(somebody, policy), "none");
  assert.equal(accessOf(somebody, { ...policy, readAccess: "all" }), "read");
});

test("without a group nobody is in it", () => {
  assert.equal(accessOf(somebody, { ...policy, group: undefined }), "none");
  assert.equal(accessOf({ ...somebody, uid: 0 }, { ...policy, group: undefined }), "write");
});

test("a method that nobody classified is a change", () => {
  assert.equal(methodKind("vpnd.v1.PeerService", "ListPeers"), "look");
  assert.equal(methodKind("vpnd.v1.KeyService", "GetPskStatus"), "private");
  assert.equal(methodKind("vpnd.v1.KeyService", "SetPsk"), "change");
  assert.equal(commandName("RemovePeer"), "remove-peer");
});

test("the network of a change is the one asked for, else the one in the answer", () => {
  assert.equal(networkOfChange({ network: "home" }, { network: "x" }), "home");
  assert.equal(networkOfChange({ network: "" }, { network: { name: "lab" } }), "lab");
  assert.equal(networkOfChange({ network: "", all: true }, { networks: ["home", "lab"] }), "home,lab");
  assert.equal(networkOfChange({}, undefined), undefined);
  assert.equal(isDryRun({ dryRun: true }), true);
  assert.equal(isDryRun({}), false);
});

test("fingerprints are taken out at any depth, and nothing else", () => {
  const answer = {
    networks: [{ self: { pskFingerprint: "abcd2345", name: "a" }, rx: 1n }],
    raw: Buffer.of(1),
  };
  assert.deepEqual(withoutFingerprints(answer), {
    networks: [{ self: { name: "a" }, rx: 1n }],
    raw: Buffer.of(1),
  });
});

test("readers have a bounded number of connections, each and together", () => {
  const limit = new ReaderLimit();
  const most = (uid: number): number => {
    let count = 0;
    while (limit.enter(uid)) count += 1;
    return count;
  };
  assert.equal(most(1), 16);
  limit.leave(1);
  assert.equal(most(1), 1);
  assert.deepEqual([most(2), most(3), most(4), most(5)], [16, 16, 16, 0]);
  limit.leave(4);
  assert.equal(most(5), 1);
});
