import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { labelOf, makeNameTable, type Named } from "./name-table.js";

const self = { virtualIp: "10.0.0.1", name: "alice" };

describe("name table", () => {
  it("knows this node and named peers, both ways", () => {
    const { addresses, names } = makeNameTable(self, [
      { virtualIp: "10.0.0.2", name: "Bob" },
      { virtualIp: "10.0.0.3" },
    ]);
    assert.deepEqual(
      [...addresses],
      [
        ["alice", "10.0.0.1"],
        ["bob", "10.0.0.2"],
      ],
    );
    assert.deepEqual(
      [...names],
      [
        ["10.0.0.1", "alice"],
        ["10.0.0.2", "bob"],
      ],
    );
  });

  it("gives a name to whom it met first, and numbers to the others", () => {
    const { addresses } = makeNameTable(self, [
      { virtualIp: "10.0.0.4", name: "nas", pinnedSince: 30 },
      { virtualIp: "10.0.0.3", name: "nas", pinnedSince: 10 },
      { virtualIp: "10.0.0.2", name: "nas" },
      { virtualIp: "10.0.0.5", name: "nas-2", pinnedSince: 40 },
      { virtualIp: "10.0.0.6", name: "alice", pinnedSince: 1 },
    ]);
    assert.deepEqual(Object.fromEntries(addresses), {
      alice: "10.0.0.1",
      "alice-2": "10.0.0.6",
      nas: "10.0.0.3",
      "nas-2": "10.0.0.5",
      "nas-3": "10.0.0.4",
      "nas-4": "10.0.0.2",
    });
  });

  it("makes labels of whatever it is given", () => {
    for (const [name, label] of [
      ["Web Server", "web-server"],
      ["a.b", "a-b"],
      ["xn--bcher-kva", "xn--bcher-kva"],
      ["--x--", "x"],
      ["ä€", undefined],
      ["", undefined],
      ["x".repeat(1000), "x".repeat(63)],
    ] as const)
      assert.equal(labelOf(name), label, name);
  });

  it("gives all labels to different nodes, and every named node one", () => {
    const peer = fc.record({
      virtualIp: fc.integer({ min: 2, max: 40 }).map((n) => `10.0.0.${n}`),
      name: fc.oneof(fc.constantFrom("a", "a-2", "a-3", "A", "x".repeat(63)), fc.string()),
      pinnedSince: fc.integer({ min: 0, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(peer, { maxLength: 30 }), (peers: Named[]) => {
        const { addresses, names } = makeNameTable(self, peers);
        assert.equal(addresses.get("alice"), "10.0.0.1");
        assert.equal(addresses.size, names.size);
        for (const [label, virtualIp] of addresses) {
          assert.match(label, /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
          assert.equal(names.get(virtualIp), label);
        }
        for (const { virtualIp, name } of peers) {
          if (labelOf(name ?? "") !== undefined) assert.ok(names.has(virtualIp));
        }
      }),
    );
  });
});
