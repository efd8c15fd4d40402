import assert from "node:assert/strict";
import { test } from "node:test";
import { Usage } from "./usage.js";
import type { GatewayUser } from "./users.js";

const user = (more: Partial<GatewayUser>): GatewayUser => ({
  name: "alice",
  tokenHash: "",
  created: 0,
  ...more,
});
const at = (text: string): number => Date.parse(`${text}Z`);

test("what is used counts against the quota, and is kept", () => {
  const usage = new Usage();
  const alice = user({ quota: 1000 });
  usage.spend(alice, 600, at("2030-01-31T23:59:59"));
  usage.spend(alice, 300, at("2031-02-01T00:00:00"));
  const again = new Usage(usage.format());
  assert.equal(again.left(alice, 0), 100);
  again.spend(alice, 300, 0);
  assert.equal(again.left(alice, 0), 0);
  assert.equal(again.used(alice, 0), 1200);
  again.forget("alice");
  assert.equal(again.left(alice, 0), 1000);
});

test("a period's quota begins anew with the next, in UTC", () => {
  const usage = new Usage();
  const monthly = user({ quota: 1000, quotaPeriod: "month" });
  const daily = user({ name: "bob", quota: 1000, quotaPeriod: "day" });
  for (const one of [monthly, daily]) usage.spend(one, 1000, at("2030-01-30T23:59:59"));
  assert.deepEqual(
    [usage.left(monthly, at("2030-01-31T00:00:00")), usage.left(daily, at("2030-01-31T00:00:00"))],
    [0, 1000],
  );
  assert.equal(usage.left(monthly, at("2030-02-01T00:00:00")), 1000);
  usage.spend(monthly, 1, at("2030-02-01T00:00:00"));
  assert.equal(usage.used(monthly, at("2030-02-28T00:00:00")), 1);
});

test("without a quota nothing is counted, and a damaged file is as none", () => {
  const usage = new Usage("{}");
  usage.spend(user({}), 5, 0);
  assert.equal(usage.left(user({}), 0), undefined);
  assert.equal(new Usage("nonsense").format(), usage.format());
});
