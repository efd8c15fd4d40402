import assert from "node:assert/strict";
import { test } from "node:test";
import { SlotQueue } from "./slot-queue.js";

function gate(): { promise: Promise<void>; open: () => void } {
  let open: () => void = () => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

test("work on one slot waits for what was before it, that on others does not", async () => {
  const queue = new SlotQueue();
  const [first, done] = [gate(), [] as string[]];
  const work = (name: string, until?: Promise<void>) => async (): Promise<void> => {
    await until;
    done.push(name);
  };
  const one = queue.run([1], work("one", first.promise));
  const both = queue.run([1, 2], work("both"));
  const two = queue.run([2], work("two"));
  await queue.run([3], work("three"));
  assert.deepEqual(done, ["three"]);
  first.open();
  await Promise.all([one, both, two]);
  assert.deepEqual(done, ["three", "one", "both", "two"]);
});

test("what failed holds nothing up, and an idle slot's work begins at once", async () => {
  const queue = new SlotQueue();
  const failing = queue.run([1], async () => {
    throw new Error("no");
  });
  const next = queue.run([1], async () => "yes");
  await assert.rejects(failing, /no/);
  assert.equal(await next, "yes");
  await Promise.resolve();
  let began = false;
  const last = queue.run([1], async () => {
    began = true;
  });
  assert.ok(began);
  await last;
});
