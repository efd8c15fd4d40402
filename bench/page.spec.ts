import assert from "node:assert/strict";
import { test } from "node:test";
import { replaced } from "./page.js";

const page =
  "# P\n<!-- bench mesh -->\nold\n<!-- end of mesh -->\nby hand\n<!-- bench micro -->\nx\n<!-- end of micro -->\n";

test("only the section's own text is replaced, again and again", () => {
  const once = replaced(page, "mesh", "new\n\n");
  assert.equal(once, page.replace("old", "new"));
  assert.equal(replaced(once, "mesh", "new"), once);
});

test("a page without the section is not touched", () => {
  assert.throws(() => replaced(page, "paper", "new"), /no section paper/);
});
