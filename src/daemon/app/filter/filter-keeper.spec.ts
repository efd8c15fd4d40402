import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Carrier, PeerView } from "../../core/carrier.js";
import type { EngineFilter } from "../../core/filter/engine-filter.js";
import { noRules, type Rules } from "../../core/filter/rules.js";
import { FilterKeeper } from "./filter-keeper.js";

const waiting: Rules = {
  rules: [{ verdict: "deny", services: [], from: [{ name: "carol" }] }],
  others: "allow",
};

function scene(rules: Rules, canFilter = true) {
  const saved: Rules[] = [];
  const told: EngineFilter[] = [];
  const errors: unknown[] = [];
  const peers: Pick<PeerView, "virtualIp" | "name">[] = [];
  let fails = false;
  const keeper = new FilterKeeper(rules, {
    network: "home",
    save: async (next) => {
      if (fails) throw new Error("disk full");
      saved.push(next);
    },
    onError: (error) => errors.push(error),
  });
  // Only what the keeper uses of a carrier.
  const carrier = {
    view: () => ({ peers }),
    ...(canFilter && { setFilter: (filter: EngineFilter) => told.push(filter) }),
  } as unknown as Carrier;
  return { keeper, carrier, saved, told, errors, peers, fail: () => (fails = true) };
}

test("rules are in force before the carrier starts; without rules it is told nothing", () => {
  const some = scene({ rules: [], others: "deny" });
  some.keeper.use(some.carrier);
  assert.equal(some.told[0]?.allowOthers, false);
  const none = scene(noRules);
  none.keeper.use(none.carrier);
  assert.deepEqual(none.told, []);
});

test("rules on a carrier that cannot filter are an error, not ignored", async () => {
  const some = scene(waiting, false);
  assert.throws(() => some.keeper.use(some.carrier), /cannot filter/);
  const none = scene(noRules, false);
  none.keeper.use(none.carrier);
  await assert.rejects(none.keeper.set(waiting), /cannot filter/);
  assert.equal(none.keeper.rules, noRules);
});

test("what cannot be written is not in force", async () => {
  const { keeper, carrier, told, fail } = scene(noRules);
  keeper.use(carrier);
  fail();
  await assert.rejects(keeper.set(waiting), /disk full/);
  assert.equal(keeper.rules, noRules);
  assert.deepEqual(told, []);
});

test("who was waited for is found, kept, and found once", async () => {
  const { keeper, carrier, saved, told, peers } = scene(waiting);
  keeper.use(carrier);
  keeper.look();
  assert.deepEqual(told.at(-1)?.rules[0]?.sources, []);
  peers.push({ virtualIp: "10.0.0.3", name: "carol" });
  keeper.look();
  assert.deepEqual(told.at(-1)?.rules[0]?.sources, ["10.0.0.3/32"]);
  keeper.look();
  await setImmediate();
  assert.equal(told.length, 2);
  assert.deepEqual(saved, [keeper.rules]);
  keeper.release();
  assert.deepEqual(keeper.known(), []);
});
