import assert from "node:assert/strict";
import { test } from "node:test";
import { table } from "./performance-page.js";
import { barChart } from "./plot.js";

test("tables align numbers right", () => {
  assert.equal(table(["a", ">b"], [["x", "1"]]), "| a | b |\n|---|---:|\n| x | 1 |");
});

test("bars are in proportion, names are escaped", () => {
  const bar = (name: string, value: number) => ({ name, value, least: value, most: value });
  const svg = barChart("a < b", [bar("x&y", 50), bar("z", 100)], (value) => `${value} Mbit/s`);
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map((match) => Number(match[1]));
  assert.equal(widths.length, 2);
  assert.equal(widths[1], 2 * (widths[0] ?? 0));
  assert.match(svg, /a &lt; b/);
  assert.match(svg, /x&amp;y/);
});
