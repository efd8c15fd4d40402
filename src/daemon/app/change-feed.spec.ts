import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeFeed } from "./change-feed.js";

const deadline = 10_000;

test("the first tick comes at once, the next ones at changes", async () => {
  const feed = new ChangeFeed();
  const ticks = feed.ticks(AbortSignal.timeout(deadline), 0, 1);
  assert.equal((await ticks.next()).done, false);
  const second = ticks.next();
  feed.changed();
  assert.equal((await second).done, false);
  await ticks.return(undefined);
});

test("a change while the watcher is busy is not lost, and many are told once", async () => {
  const feed = new ChangeFeed();
  const stop = new AbortController();
  const ticks = feed.ticks(stop.signal, 0, 1);
  await ticks.next();
  feed.changed();
  feed.changed();
  feed.changed();
  assert.equal((await ticks.next()).done, false);
  const third = ticks.next();
  stop.abort();
  assert.equal((await third).done, true);
});

test("without changes the interval ticks", async () => {
  const ticks = new ChangeFeed().ticks(AbortSignal.timeout(deadline), 5, 1);
  for (let count = 0; count < 3; count++) assert.equal((await ticks.next()).done, false);
  await ticks.return(undefined);
});

test("an aborted watch ends", async () => {
  const ticks = new ChangeFeed().ticks(AbortSignal.abort(), 0);
  assert.equal((await ticks.next()).done, true);
});
