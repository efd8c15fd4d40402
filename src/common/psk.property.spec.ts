import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { VpnError } from "./errors.js";
import { fingerprint, generatePsk, isWeak, parsePsk } from "./psk.js";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const strong = { badger: false };
const badger = { badger: true };

/** The key, or undefined when it is refused as an error of use; anything else that is thrown is a fault. */
function parsed(typed: Uint8Array, options: { badger: boolean }): Uint8Array | undefined {
  try {
    return parsePsk(typed, options);
  } catch (error) {
    assert.ok(error instanceof VpnError && error.code === "usage" && error.hint !== undefined);
    return undefined;
  }
}

describe("psk, for any input", () => {
  it("a key reads back from each of its forms, with white space at the end", () => {
    fc.assert(
      fc.property(key, fc.constantFrom("", "\n", "\r\n", " \n"), (bytes, end) => {
        const buffer = Buffer.from(bytes);
        for (const form of [generatePsk(bytes), buffer.toString("hex"), buffer.toString("base64")]) {
          assert.deepEqual(parsePsk(Buffer.from(form + end), strong), bytes);
          assert.equal(isWeak(Buffer.from(form + end)), false);
        }
      }),
    );
  });

  it("a vpsk1_ key with one character changed is refused", () => {
    fc.assert(
      fc.property(key, fc.nat({ max: 47 }), fc.constantFrom(..."AZaz09_-"), (bytes, at, character) => {
        const text = generatePsk(bytes);
        const place = text.length - 48 + at;
        fc.pre(text[place] !== character);
        const changed = text.slice(0, place) + character + text.slice(place + 1);
        assert.equal(parsed(Buffer.from(changed), strong), undefined);
      }),
    );
  });

  it("takes 32 bytes or refuses with a hint, whatever is typed", () => {
    const typed = fc.oneof(
      fc.uint8Array({ maxLength: 1200 }),
      fc.string({ maxLength: 80 }).map((text) => Buffer.from(text)),
      fc.string({ maxLength: 60 }).map((text) => Buffer.from(`vpsk1_${text}`)),
    );
    fc.assert(
      fc.property(typed, (bytes) => {
        const strongKey = parsed(bytes, strong);
        assert.equal(strongKey === undefined, isWeak(bytes));
        if (strongKey !== undefined) assert.equal(strongKey.length, 32);
        const typedKey = parsed(bytes, badger);
        if (typedKey !== undefined) {
          assert.ok(typedKey.length > 0 && typedKey.length <= 256);
          assert.match(fingerprint(typedKey), /^[a-z2-7]{8}$/);
        }
      }),
    );
  });
});
