import assert from "node:assert/strict";
import { test } from "node:test";
import { textWidth } from "./text-width.js";

test("a character takes the columns that terminals give it", () => {
  const widths: Record<string, number> = {
    "": 0,
    "a b": 3,
    ä: 1,
    "a\u0308": 1,
    日本: 4,
    ｶﾞ: 2,
    각: 2,
    "\u1100\u1161\u11a8": 2,
    ก็: 1,
    नमस्ते: 3,
    "❤": 1,
    "❤\ufe0f": 2,
    "👍🏽": 2,
    "👨‍👩‍👧": 2,
    "🇩🇪": 2,
    "1\ufe0f⃣": 2,
    "a\u200db": 2,
  };
  for (const [text, width] of Object.entries(widths))
    assert.equal(textWidth(text), width, JSON.stringify(text));
});
