import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { GatewayStore } from "../../io/gateway/store.js";
import { GatewayUsers } from "./gateway-users.js";

function usersIn(folder: string, now = () => 1): GatewayUsers {
  const store = new GatewayStore(folder);
  const log = pino({ level: "silent" });
  return new GatewayUsers({ store, log, now, onChange: () => {}, onRevoked: async () => 0 });
}

test("a file of users that makes no sense lets nobody in without a token, and is not written over", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "users-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "gateway-users.json"), "{}");
  const users = usersIn(folder);
  await assert.rejects(users.load(), /makes no sense/);
  assert.equal(users.whoHas("", false), "unknown");
  await assert.rejects(users.add("alice", {}), /makes no sense/);
  await assert.rejects(users.revoke("alice"), /makes no sense/);
});

test("before the first user nobody needs a token, and ever after everybody", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "users-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const users = usersIn(folder);
  await users.load();
  assert.equal(users.whoHas("", false), "none");
  const token = await users.add("alice", {});
  assert.deepEqual([users.whoHas("", false), users.whoHas(`${token}x`, false)], ["unknown", "unknown"]);
  const found = users.whoHas(token, false);
  assert.equal(typeof found === "string" ? found : found.name, "alice");
  await users.revoke("alice");
  assert.deepEqual([users.whoHas("", false), users.whoHas(token, false)], ["unknown", "unknown"]);
});

test("who is revoked, or whose time is over, may not go on", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "users-"));
  t.after(() => rmSync(folder, { recursive: true }));
  let now = 1000;
  const users = usersIn(folder, () => now);
  await users.add("alice", { expiresInSeconds: 5 });
  await users.add("bob", {});
  assert.deepEqual([users.has("alice"), users.has("bob"), users.has("carol")], [true, true, false]);
  now = 6000;
  await users.revoke("bob");
  assert.deepEqual([users.has("alice"), users.has("bob")], [false, false]);
});
