import assert from "node:assert/strict";
import { test } from "node:test";
import { sparkline } from "./sparkline.js";
import { block, notes, table } from "./table.js";

test("columns are as wide as their widest cell, also with wide characters", () => {
  assert.equal(
    table(
      ["A", "B"],
      [
        ["日本", "x"],
        ["ab", "y"],
      ],
    ),
    "A     B\n日本  x\nab    y\n",
  );
});

test("control and direction characters are replaced", () => {
  assert.equal(table(["A"], [["x\u001b[31m\n\u202ey"]]), "A\nx�[31m��y\n");
  assert.equal(notes(["a\nb"]), "# a�b\n");
});

test("columns are dropped in their order until the table fits", () => {
  const options = (columns: number): Parameters<typeof table>[2] => ({
    look: { columns, colour: false },
    droppable: ["B", "C"],
  });
  const rows = [["1111", "2222", "3333"]];
  assert.equal(table(["A", "B", "C"], rows, options(16)), "A     B     C\n1111  2222  3333\n");
  assert.equal(table(["A", "B", "C"], rows, options(15)), "A     C\n1111  3333\n");
  assert.equal(table(["A", "B", "C"], rows, options(1)), "A\n1111\n");
});

test("a block leaves out what is not known", () => {
  assert.equal(
    block("peer: a", [
      ["x", "1"],
      ["y", undefined],
      ["z", ""],
    ]),
    "peer: a\n  x: 1\n",
  );
});

test("a sparkline spans nothing to the largest value", () => {
  assert.equal(sparkline([0, 1, 4, 8]), "▁▂▅█");
  assert.equal(sparkline([0, 0]), "▁▁");
  assert.equal(sparkline([]), "");
});
