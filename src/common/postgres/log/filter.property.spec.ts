import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VpnError } from "../../errors.js";
import { type Filter, parseFilter } from "./filter.js";
import { filterSql } from "./filter-sql.js";

const side = fc.constantFrom("source" as const, "destination" as const, "either" as const);
const ports = fc
  .tuple(fc.nat(65_535), fc.nat(65_535))
  .map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));
const address = fc.constantFrom("10.0.0.2", "192.168.255.1", "fd00::1", "2001:db8::ff");
const cidr = fc.constantFrom("10.0.0.0/8", "0.0.0.0/0", "10.9.0.1/32", "fd00::/8", "::/0");
const leaf: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({ kind: fc.constant("host" as const), side, address }),
  fc.record({ kind: fc.constant("net" as const), side, cidr }),
  fc.tuple(side, ports).map(([on, range]) => ({ kind: "ports" as const, side: on, ...range })),
  fc.record({ kind: fc.constant("protocol" as const), protocol: fc.nat(255) }),
  fc.record({ kind: fc.constant("version" as const), version: fc.constantFrom(4 as const, 6 as const) }),
);
const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      of: fc.array(tie("filter"), { minLength: 2, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("not" as const), of: tie("filter") }),
  ),
}));

const word = { source: "src ", destination: "dst ", either: "" };

function print(one: Filter): string {
  switch (one.kind) {
    case "and":
    case "or":
      return `(${one.of.map(print).join(` ${one.kind} `)})`;
    case "not":
      return `not ${print(one.of)}`;
    case "host":
      return `${word[one.side]}host ${one.address}`;
    case "net":
      return `${word[one.side]}net ${one.cidr}`;
    case "ports":
      return one.from === one.to
        ? `${word[one.side]}port ${one.from}`
        : `${word[one.side]}portrange ${one.from}-${one.to}`;
    case "protocol":
      return `proto ${one.protocol}`;
    case "version":
      return one.version === 4 ? "ip" : "ip6";
  }
}

test("what is written is read as it was meant", () => {
  fc.assert(
    fc.property(filter, (one) => {
      const text = print(one);
      if (text.length > 1000) return;
      const read = parseFilter(text);
      assert.ok(read);
      assert.equal(print(read), text);
    }),
    { numRuns: 500 },
  );
});

/** What a condition is made of; a value of the user's would show. */
const pieces =
  /^(\(|\)| AND | OR | IS NOT TRUE| BETWEEN | = | <<= |source_port|destination_port|source|destination|protocol|version|\$\d+::(inet|integer))+$/;

test("values are parameters, and SQL is made of fixed pieces", () => {
  fc.assert(
    fc.property(filter, fc.integer({ min: 1, max: 9 }), (one, first) => {
      const { sql, parameters } = filterSql(one, first);
      assert.match(sql, pieces);
      const used = [...sql.matchAll(/\$(\d+)/g)].map((match) => Number(match[1]));
      assert.deepEqual(
        used,
        parameters.map((_, index) => first + index),
      );
    }),
    { numRuns: 500 },
  );
});

test("whatever is typed is a filter or an error that points at a place in it", () => {
  const words = fc.constantFrom(
    ..."host net port portrange src dst tcp udp icmp and or not ( ) ! && || & | 443 70000 1-2 2-1 10.0.0.2 10.0.0.1/8 fd00::/8 ' ; -- $1 \\ constructor __proto__ proto DROP".split(
      " ",
    ),
  );
  const typed = fc.oneof(
    fc.array(words, { maxLength: 12 }).map((some) => some.join(" ")),
    fc.string({ maxLength: 60 }),
  );
  fc.assert(
    fc.property(typed, (text) => {
      try {
        const read = parseFilter(text);
        if (read !== undefined) assert.match(filterSql(read, 1).sql, pieces);
      } catch (error) {
        assert.ok(error instanceof VpnError, String(error));
        assert.equal(error.code, "usage");
        const column = Number(/column (\d+)/.exec(error.message)?.[1]);
        assert.ok(column >= 1 && column <= text.length + 1, `${error.message} of ${JSON.stringify(text)}`);
      }
    }),
    { numRuns: 3000 },
  );
});
