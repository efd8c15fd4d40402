import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import type { GatewayUser } from "../../core/gateway/users.js";
import { GatewayStore } from "../../io/gateway/store.js";
import { Quotas } from "./quotas.js";

const alice: GatewayUser = { name: "alice", tokenHash: "", created: 0, quota: 100 << 20 };

test("much use is on disk at once, and so is the end of a quota", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "quotas-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const store = new GatewayStore(folder);
  const parts = { store, now: () => 0, log: pino({ level: "silent" }) };
  const quotas = new Quotas(parts);
  const onDisk = async (): Promise<number> => {
    const later = new Quotas(parts);
    await later.load();
    return later.used(alice);
  };
  const reaches = async (bytes: number): Promise<void> => {
    const end = performance.now() + 30_000;
    while ((await onDisk()) !== bytes) assert.ok(performance.now() < end, `${await onDisk()} bytes on disk`);
  };
  assert.equal(quotas.spend(alice, 1 << 20), 99 << 20);
  assert.equal(await onDisk(), 0);
  quotas.spend(alice, 20 << 20);
  await reaches(21 << 20);
  quotas.spend(alice, 5 << 20);
  assert.equal(await onDisk(), 21 << 20);
  assert.equal(quotas.spend(alice, 90 << 20), 0);
  await reaches(116 << 20);
});
