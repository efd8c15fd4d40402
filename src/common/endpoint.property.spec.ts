import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addressKind, canonicalAddress, formatEndpoint, parseEndpoint } from "./endpoint.js";

const address = fc.oneof(fc.ipV4(), fc.ipV6());
const port = fc.integer({ min: 0, max: 65_535 });
/** Text that looks like an endpoint more often than chance would have it. */
const nearly = fc
  .array(
    fc.constantFrom("[", "]", ":", "::", ".", "%", "0", "1", "255", "65535", "65536", "ffff", "g", " "),
    {
      maxLength: 24,
    },
  )
  .map((parts) => parts.join(""));

describe("endpoint, for any input", () => {
  it("canonical text is a fixed point, and names what the original named", () => {
    fc.assert(
      fc.property(address, (text) => {
        const once = canonicalAddress(text);
        assert.ok(once !== undefined);
        assert.equal(canonicalAddress(once), once);
        assert.ok(["node", "loopback", "none"].includes(addressKind(once)));
      }),
    );
  });

  it("reads back what it writes", () => {
    fc.assert(
      fc.property(address, port, (text, number) => {
        const parsed = parseEndpoint(formatEndpoint(text, number));
        assert.ok(parsed !== undefined);
        assert.equal(parsed.port, number);
        assert.equal(parsed.address, canonicalAddress(text));
        assert.equal(parsed.family, parsed.address.includes(":") ? 6 : 4);
      }),
    );
  });

  it("never throws, and what it takes is canonical", () => {
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string({ maxLength: 80 })), (text) => {
        const parsed = parseEndpoint(text);
        if (parsed === undefined) return;
        assert.equal(canonicalAddress(parsed.address), parsed.address);
        assert.deepEqual(parseEndpoint(formatEndpoint(parsed.address, parsed.port)), parsed);
      }),
    );
    fc.assert(fc.property(nearly, (text) => void canonicalAddress(text)));
  });
});
