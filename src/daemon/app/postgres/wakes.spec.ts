import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DatabaseError } from "../../../common/postgres/wire-connection.js";
import { Wakes } from "./wakes.js";

function scene() {
  const over = new AbortController();
  let reads = 0;
  const wakes = new Wakes(() => {
    reads += 1;
  }, over.signal);
  /** Resolves when it was read so often. */
  const read = async (times: number): Promise<void> => {
    const keepsAlive = setInterval(() => {}, 10);
    for (const enough = reads + times; reads < enough; ) await delay(5);
    clearInterval(keepsAlive);
  };
  return { wakes, over, read, reads: () => reads };
}

const refused = (code: string): DatabaseError => new DatabaseError({ code, message: "refused" });

test("without notifications it is read again and again, until one is heard", async () => {
  const { wakes, read, reads } = scene();
  assert.equal(wakes.note, undefined);
  wakes.unheard();
  wakes.unheard();
  assert.equal(reads(), 1, "at once, and once at a time");
  await read(2);
  assert.match(wakes.note ?? "", /no notifications/);
  wakes.heard();
  assert.equal(wakes.note, undefined);
  const before = reads();
  await delay(120);
  assert.equal(reads(), before);
});

test("a queue that is full is polled for, and named; other refusals say nothing about it", async () => {
  const { wakes, over, read } = scene();
  wakes.notified(refused("57014"));
  assert.equal(wakes.note, undefined);
  wakes.notified(refused("54000"));
  assert.match(wakes.note ?? "", /queue of notifications is full/);
  await read(2);
  wakes.notified();
  assert.match(wakes.note ?? "", /no notifications/);
  wakes.heard();
  assert.equal(wakes.note, undefined);
  over.abort();
});
