import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Leases } from "./leases.js";

test("slots are given from the lowest on, and refused when all are in use", () => {
  const leases = new Leases(2, 1000);
  assert.deepEqual(leases.take("a", 1, undefined, "n1"), { slot: 0, nonce: "n1", resumed: false });
  assert.equal(leases.take("b", 2, undefined, "n2")?.slot, 1);
  assert.equal(leases.take("c", 3, undefined, "n3"), undefined);
});

test("who comes back in time has the slot again, also before its end was noticed", () => {
  const leases = new Leases(4, 1000);
  leases.take("a", 1, undefined, "n1");
  leases.release(0, 1, 0);
  assert.deepEqual(leases.take("a", 2, { slot: 0, nonce: "n1" }, "n2"), {
    slot: 0,
    nonce: "n1",
    resumed: true,
  });
  assert.equal(leases.take("a", 3, { slot: 0, nonce: "n1" }, "n3")?.replaced, 2);
  // The end of the one that was replaced changes nothing.
  leases.release(0, 2, 0);
  assert.deepEqual(leases.expire(1e9), []);
});

test("a slot is nobody else's, whoever shows its token", () => {
  const leases = new Leases(4, 1000);
  leases.take("a", 1, undefined, "n1");
  assert.equal(leases.take("b", 2, { slot: 0, nonce: "n1" }, "n2")?.slot, 1);
  assert.equal(leases.take("a", 3, { slot: 0, nonce: "old" }, "n3")?.slot, 2);
  assert.equal(leases.take("a", 4, { slot: 99, nonce: "n1" }, "n4")?.slot, 3);
});

test("a slot is kept for its time, then free", () => {
  const leases = new Leases(4, 1000);
  leases.take("a", 1, undefined, "n1");
  leases.release(0, 1, 500);
  assert.deepEqual(leases.expire(1499), []);
  assert.deepEqual(leases.expire(1500), [0]);
  assert.equal(leases.used, 0);
  // A token outlives a restart of the gateway, which forgot its leases.
  assert.equal(leases.take("a", 2, { slot: 3, nonce: "n1" }, "n2")?.slot, 3);
});

test("a slot that nobody can come back to is free at once", () => {
  const leases = new Leases(1, 1000);
  const taken = leases.take("", 1, undefined, "n", false);
  leases.release(taken?.slot ?? -1, 1, 500);
  assert.deepEqual(leases.expire(500), [0]);
});

test("when there is no other room, who is away the longest gives way to who is here", () => {
  const leases = new Leases(2, 10_000);
  leases.take("a", 1, undefined, "n1");
  leases.take("b", 2, undefined, "n2");
  leases.release(1, 2, 0);
  leases.release(0, 1, 5);
  assert.equal(leases.take("c", 3, undefined, "n3")?.slot, 1);
  assert.equal(leases.take("b", 4, { slot: 1, nonce: "n2" }, "n4")?.slot, 0);
  assert.equal(leases.take("a", 5, { slot: 0, nonce: "n1" }, "n5"), undefined);
});

test("who is shown the door takes nothing from the next, who has the slot already", () => {
  const leases = new Leases(1, 1000);
  const first = leases.take("a", 1, undefined, "n1");
  leases.take("a", 2, first, "n2");
  leases.drop(0, 1);
  assert.ok(leases.isTaken(0));
  leases.drop(0, 2);
  assert.equal(leases.isTaken(0), false);
  leases.take("b", 3, undefined, "n3");
  leases.release(0, 3, 0);
  leases.drop(0, 3);
  assert.equal(leases.used, 0, "nor is it kept");
});

test("whatever happens, no slot has two sessions, and there are no more than the limit", () => {
  const step = fc.record({ what: fc.constantFrom("take", "resume", "release", "expire"), who: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const leases = new Leases(3, 10);
      const held = new Map<number, number>();
      const tokens = new Map<number, { slot: number; nonce: string }>();
      steps.forEach(({ what, who }, now) => {
        if (what === "take" || what === "resume") {
          const taken = leases.take(
            `u${who}`,
            now,
            what === "resume" ? tokens.get(who) : undefined,
            `n${now}`,
          );
          if (taken === undefined) {
            assert.equal(held.size, 3);
            return;
          }
          if (held.has(taken.slot)) assert.equal(taken.replaced, held.get(taken.slot));
          held.set(taken.slot, now);
          tokens.set(who, taken);
        } else if (what === "release") {
          const [slot, session] = [...held][who] ?? [0, -1];
          leases.release(slot, session, now);
          if (held.get(slot) === session) held.delete(slot);
        } else for (const slot of leases.expire(now)) assert.equal(held.has(slot), false);
        assert.ok(held.size <= 3 && leases.used <= 3);
      });
    }),
  );
});

test("one user who comes and goes does not drive others' addresses out", () => {
  const leases = new Leases(4, 1000);
  leases.take("honest", 1, undefined, "n1");
  leases.release(0, 1, 0);
  for (let session = 2; session < 10; session++) {
    const taken = leases.take("greedy", session, undefined, `n${session}`);
    leases.release(taken?.slot ?? -1, session, session);
  }
  assert.equal(leases.take("honest", 10, { slot: 0, nonce: "n1" }, "n10")?.resumed, true);
  assert.notEqual(leases.take("newcomer", 11, undefined, "n11")?.slot, 0);
});
