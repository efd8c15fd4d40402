import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify } from "smol-toml";
import { readToml } from "./layer.js";

const lines = (text: string): [string, number | undefined][] =>
  readToml("f", text).entries.map(({ path, origin }) => [path.join("."), origin.line]);

test("every key knows its line, whatever the value looks like", () => {
  const text = `
# a = 1
a = 1 # [b]
list = [
  "x", # ] not the end
  "y]",
]
"quoted key" = """
c = 3
[d]
"""
dotted.key = { one = 1, two = [2] }
[table]   # comment
  k = 'it''s' `.replace("'it''s'", "'its'");
  assert.deepEqual(lines(text), [
    ["a", 3],
    ["list", 4],
    ["quoted key", 8],
    ["dotted.key.one", 12],
    ["dotted.key.two", 12],
    ["table", 13],
    ["table.k", 14],
  ]);
});

test("lines may end in CRLF", () => {
  assert.deepEqual(lines("a = 1\r\n[t]\r\nb = 2\r\n"), [
    ["a", 1],
    ["t", 2],
    ["t.b", 3],
  ]);
});

test("a mistake is told with its line and without its text", () => {
  for (const text of ['a = 1\npsk = "SECRET', "a = 1\nSECRET", "a = 1\npsk = SECRET"]) {
    const { problem, entries } = readToml("f", text);
    assert.equal(problem?.origin.line, 2, text);
    assert.deepEqual(entries, []);
    assert.ok(!JSON.stringify(problem).includes("SECRET"), JSON.stringify(problem));
  }
});

test("property: entries carry the values that the parser gives", () => {
  const leaf = fc.oneof(
    fc.string({ unit: "grapheme-ascii" }),
    fc.integer(),
    fc.boolean(),
    fc.array(fc.integer()),
  );
  const name = fc.stringMatching(/^[a-z]{1,6}$/);
  const tables = fc.dictionary(name, fc.dictionary(name, leaf, { minKeys: 1 }));
  fc.assert(
    fc.property(tables, (document) => {
      const { entries, problem } = readToml("f", stringify(document));
      assert.equal(problem, undefined);
      const wanted = Object.entries(document).flatMap(([table, keys]) =>
        Object.entries(keys).map(([key, value]) => [`${table}.${key}`, value]),
      );
      const got = entries.filter(({ value }) => value !== undefined);
      assert.deepEqual(
        got.map(({ path, value }) => [path.join("."), value]),
        wanted,
      );
    }),
  );
});
