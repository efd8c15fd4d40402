import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineFilter } from "./engine-filter.js";
import { linkFilter } from "./link-filter.js";

const rules: EngineFilter = {
  rules: [
    { allow: true, services: [] },
    { allow: false, sources: ["10.0.0.2/32", "10.0.0.3/32"], services: [] },
    { allow: true, sources: ["fd00::2/128"], services: [] },
    { allow: false, sources: [], services: [] },
  ],
  allowOthers: false,
};
const sources = (...addresses: string[]) => linkFilter(rules, ...addresses).rules.map((rule) => rule.sources);

test("a rule for the other end is for all that comes, a rule for others for nothing", () => {
  assert.deepEqual(sources("10.0.0.3"), [undefined, undefined, [], []]);
  assert.deepEqual(sources("fd00::2"), [undefined, [], undefined, []]);
  assert.deepEqual(sources("10.0.0.9"), [undefined, [], [], []]);
  assert.deepEqual(sources("10.0.0.3", "fd00::2"), [undefined, undefined, undefined, []]);
  assert.equal(linkFilter(rules, "10.0.0.9").allowOthers, false);
});

test("who is not known yet is denied what any peer is, and allowed nothing that a peer is", () => {
  assert.deepEqual(sources(), [undefined, undefined, [], []]);
});
